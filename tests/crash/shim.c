/* Counts, over all threads, the calls by which a process touches the world, and makes one of them go wrong.

   Preloaded into a real `frame`. A call counts when it is about a path under CRASH_ROOT, about a socket of the
   loopback interface or of a PostgreSQL server, or (CRASH_STDOUT) about standard output. Nothing happens before `crash_arm` has read the
   environment: when the library is loaded, or, in a process that was forked from one that has loaded it, when
   it is called there.

       CRASH_MODE     count | kill | kill-after | stop | fail | fail-after | short | trace
       CRASH_AT       which call it is about, from 1
       CRASH_ERRNO    what `fail` fails with; CRASH_PERSIST: so does every later call
       CRASH_KINDS    only these kinds count, as in "write,fsync"
       CRASH_LOG      one line a call: number, kind, offset, bytes, path, second path; with `trace` the data stand in
                      CRASH_LOG.data
       CRASH_CLOCK    "jump:SECONDS" or "frozen": what the wall clock does from call CRASH_AT on */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum mode { OFF, COUNT, KILL, KILL_AFTER, STOP, FAIL, FAIL_AFTER, SHORT, TRACE };

static const char *const MODES[] = {"off", "count", "kill", "kill-after", "stop", "fail", "fail-after", "short", "trace"};
static enum mode mode = OFF;
static char root[PATH_MAX], kinds[256];
static size_t root_length;
static long at, counted;
static int error_number, persists, log_fd = -1, data_fd = -1, counts_stdout;
static int clock_frozen;
static long clock_jump_s;
static struct timespec frozen_at;
static pthread_mutex_t tracing = PTHREAD_MUTEX_INITIALIZER;

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static long raw_write(int fd, const void *data, size_t size) { return syscall(SYS_write, fd, data, size); }

static int raw_open(const char *path) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600);
}

static int far_descriptor(int fd) {  /* out of the way, so that the program gets the numbers that it would get */
    int far = fd < 0 ? fd : (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 200);
    if (far >= 0) syscall(SYS_close, fd);
    return far < 0 ? fd : far;
}

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

void crash_arm(void) {
    const char *value = setting("CRASH_ROOT");
    mode = OFF;
    snprintf(root, sizeof root, "%s", value ? value : "");
    root_length = strlen(root);
    value = setting("CRASH_KINDS");
    snprintf(kinds, sizeof kinds, value ? ",%s," : "", value);
    at = (value = setting("CRASH_AT")) ? atol(value) : 0;
    error_number = (value = setting("CRASH_ERRNO")) ? atoi(value) : EIO;
    persists = setting("CRASH_PERSIST") != NULL;
    counts_stdout = setting("CRASH_STDOUT") != NULL;
    value = setting("CRASH_CLOCK");
    clock_frozen = value && !strcmp(value, "frozen");
    clock_jump_s = value && !strncmp(value, "jump:", 5) ? atol(value + 5) : 0;
    counted = 0;
    value = setting("CRASH_MODE");
    for (int n = COUNT; value && n <= TRACE; n++)
        if (!strcmp(value, MODES[n])) mode = (enum mode)n;
    if ((value = setting("CRASH_LOG"))) {
        char beside[PATH_MAX];
        log_fd = far_descriptor(raw_open(value));
        snprintf(beside, sizeof beside, "%s.data", value);
        if (mode == TRACE) data_fd = far_descriptor(raw_open(beside));
    }
}

__attribute__((constructor)) static void loaded(void) {
    if (setting("CRASH_MODE")) crash_arm();
}

/* --- Which calls count ------------------------------------------------------------------------------------- */

static int is_below_root(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int is_near(const struct sockaddr *address, char *place) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    if (address->sa_family == AF_UNIX) {
        strcpy(place, "postgresql");
        return strstr(((const struct sockaddr_un *)address)->sun_path, "/.s.PGSQL.") != NULL;
    }
    if (address->sa_family != AF_INET || (ntohl(v4->sin_addr.s_addr) >> 24) != 127) return 0;
    snprintf(place, PATH_MAX, "tcp:%d", ntohs(v4->sin_port));
    return 1;
}

static int place_of_fd(int fd, char *place) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, place, PATH_MAX - 1);
    if (length < 0) return 0;
    place[length] = 0;
    if (is_below_root(place)) return 1;
    if (fd == 1 && counts_stdout) {
        strcpy(place, "stdout");
        return 1;
    }
    if (strncmp(place, "socket:", 7)) return 0;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (syscall(SYS_getpeername, fd, &peer, &size) < 0) return 0;
    return is_near((struct sockaddr *)&peer, place);
}

static int place_of_path(int folder, const char *path, char *place) {
    if (!path) return 0;
    if (path[0] == '/') {
        snprintf(place, PATH_MAX, "%s", path);
        return is_below_root(place);
    }
    char link[64], base[PATH_MAX];
    if (folder == AT_FDCWD) strcpy(link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
    if (length < 0) return 0;
    base[length] = 0;
    while (!strncmp(path, "./", 2)) path += 2;
    if (snprintf(place, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    return is_below_root(place);
}

static int is_wanted(const char *kind) {
    char wanted[64];
    if (!kinds[0]) return 1;
    snprintf(wanted, sizeof wanted, ",%s,", kind);
    return strstr(kinds, wanted) != NULL;
}

/* --- What becomes of a call that counts ---------------------------------------------------------------------- */

struct call {
    const char *kind;
    char place[PATH_MAX], second[PATH_MAX];
    long long offset;
    size_t size;
    const struct iovec *data;
    int pieces;
    long number;
    int counts;
};

static void die(void) {
    syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
    for (;;) syscall(SYS_pause);
}

static void put_down(struct call *call) {
    char line[2 * PATH_MAX + 128];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%lld\t%zu\t%s\t%s\n", call->number, call->kind, call->offset,
                          call->size, call->place, call->second);
    raw_write(log_fd, line, (size_t)length);
    for (int n = 0; data_fd >= 0 && n < call->pieces; n++) raw_write(data_fd, call->data[n].iov_base, call->data[n].iov_len);
}

/* 0: make the call; 1: it fails, with errno set; 2: only half of it is to be done. */
static int before(struct call *call) {
    if (mode == OFF || !is_wanted(call->kind)) return 0;
    if (mode == TRACE) pthread_mutex_lock(&tracing);
    call->counts = 1;
    call->number = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (log_fd >= 0 && mode != TRACE) put_down(call);
    if (call->number < at || (call->number > at && !persists)) return 0;
    switch (mode) {
    case KILL: die(); return 0;
    case STOP: syscall(SYS_tgkill, (int)syscall(SYS_getpid), (int)syscall(SYS_gettid), SIGSTOP); return 0;
    case FAIL: errno = error_number; return 1;
    case SHORT: return 2;
    default: return 0;
    }
}

/* What the caller is told; a trace holds only what has succeeded. */
static long after(struct call *call, long result) {
    if (!call->counts) return result;
    int saved = errno;
    if (mode == TRACE) {
        if (result >= 0) put_down(call);
        pthread_mutex_unlock(&tracing);
    }
    if (call->number == at && mode == KILL_AFTER) die();
    errno = saved;
    if (mode == FAIL_AFTER && (call->number == at || (persists && call->number > at))) {
        errno = error_number;
        return -1;
    }
    return result;
}

#define ON_FD(kind_, fd) \
    struct call call = {.kind = kind_}; \
    int matters = mode != OFF && place_of_fd(fd, call.place); \
    int fate = 0
#define ON_PATH(kind_, folder, path) \
    struct call call = {.kind = kind_}; \
    int matters = mode != OFF && place_of_path(folder, path, call.place); \
    int fate = 0
#define FATE matters ? before(&call) : 0

/* --- Writes ------------------------------------------------------------------------------------------------------ */

static long long end_of(int fd) {
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_APPEND) && !fstat(fd, &status)) return status.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

#define DATA(buffer, length) \
    struct iovec piece = {(void *)(buffer), (length)}; \
    call.data = &piece, call.pieces = 1, call.size = (length)

ssize_t write(int fd, const void *buffer, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    ON_FD("write", fd);
    DATA(buffer, size);
    if (matters) call.offset = end_of(fd);
    fate = FATE;
    if (fate == 1) return -1;
    if (fate == 2) size = call.size = piece.iov_len = (size + 1) / 2;
    return after(&call, real(fd, buffer, size));
}

static ssize_t positioned(ssize_t (*real)(int, const void *, size_t, off64_t), int fd, const void *buffer, size_t size,
                          off64_t offset) {
    ON_FD("pwrite", fd);
    DATA(buffer, size);
    call.offset = offset;
    fate = FATE;
    if (fate == 1) return -1;
    if (fate == 2) size = call.size = piece.iov_len = (size + 1) / 2;
    return after(&call, real(fd, buffer, size, offset));
}

ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return positioned(real, fd, buffer, size, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return positioned(real, fd, buffer, size, offset);
}

static size_t total_of(const struct iovec *pieces, int count) {
    size_t total = 0;
    for (int n = 0; n < count; n++) total += pieces[n].iov_len;
    return total;
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    ON_FD("writev", fd);
    if (matters) call.offset = end_of(fd), call.data = pieces, call.pieces = count, call.size = total_of(pieces, count);
    fate = FATE;
    if (fate == 1) return -1;
    return after(&call, real(fd, pieces, fate == 2 ? 1 : count));
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) {
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    ON_FD("pwritev", fd);
    if (matters) call.offset = offset, call.data = pieces, call.pieces = count, call.size = total_of(pieces, count);
    fate = FATE;
    if (fate == 1) return -1;
    return after(&call, real(fd, pieces, fate == 2 ? 1 : count, offset));
}

static int truncated(int (*real)(int, off64_t), int fd, off64_t size) {
    ON_FD("ftruncate", fd);
    call.offset = size;
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(fd, size));
}

int ftruncate(int fd, off_t size) {
    REAL(int, ftruncate64, int, off64_t);
    return truncated(real, fd, size);
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, ftruncate64, int, off64_t);
    return truncated(real, fd, size);
}

/* --- Syncs ------------------------------------------------------------------------------------------------------- */

int fsync(int fd) {
    REAL(int, fsync, int);
    ON_FD("fsync", fd);
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(fd));
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    ON_FD("fdatasync", fd);
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(fd));
}

/* --- Names ------------------------------------------------------------------------------------------------------- */

static int opened(int (*real)(int, const char *, int, ...), int folder, const char *path, int flags, mode_t mode_) {
    int makes = flags & (O_CREAT | O_TRUNC);
    const char *kind = makes ? flags & O_TRUNC ? "open-truncate" : "open-create" : "open";
    ON_PATH(kind, folder, path);
    if (matters && !makes && !(kinds[0] && is_wanted("open"))) matters = 0;
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(folder, path, flags, mode_));
}

#define MODE_OF(flags) \
    mode_t mode_ = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_ = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    REAL(int, openat64, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real, AT_FDCWD, path, flags, mode_);
}

int open64(const char *path, int flags, ...) {
    REAL(int, openat64, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real, AT_FDCWD, path, flags, mode_);
}

int openat(int folder, const char *path, int flags, ...) {
    REAL(int, openat64, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real, folder, path, flags, mode_);
}

int openat64(int folder, const char *path, int flags, ...) {
    REAL(int, openat64, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real, folder, path, flags, mode_);
}

#define TWO_PATHS(kind, from_folder, from, to_folder, to) \
    ON_PATH(kind, from_folder, from); \
    if (mode != OFF) matters |= place_of_path(to_folder, to, call.second); \
    fate = FATE; \
    if (fate == 1) return -1

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    TWO_PATHS("rename", AT_FDCWD, from, AT_FDCWD, to);
    return (int)after(&call, real(from, to));
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    TWO_PATHS("rename", from_folder, from, to_folder, to);
    return (int)after(&call, real(from_folder, from, to_folder, to));
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned int);
    TWO_PATHS("rename", from_folder, from, to_folder, to);
    return (int)after(&call, real(from_folder, from, to_folder, to, flags));
}

int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    TWO_PATHS("link", AT_FDCWD, from, AT_FDCWD, to);
    return (int)after(&call, real(from, to));
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    TWO_PATHS("link", from_folder, from, to_folder, to);
    return (int)after(&call, real(from_folder, from, to_folder, to, flags));
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    ON_PATH("unlink", AT_FDCWD, path);
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(path));
}

int unlinkat(int folder, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    ON_PATH("unlink", folder, path);
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(folder, path, flags));
}

int mkdir(const char *path, mode_t mode_) {
    REAL(int, mkdir, const char *, mode_t);
    ON_PATH("mkdir", AT_FDCWD, path);
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(path, mode_));
}

int mkdirat(int folder, const char *path, mode_t mode_) {
    REAL(int, mkdirat, int, const char *, mode_t);
    ON_PATH("mkdir", folder, path);
    fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(folder, path, mode_));
}

/* --- Sockets ----------------------------------------------------------------------------------------------------- */

ssize_t send(int fd, const void *buffer, size_t size, int flags) {
    REAL(ssize_t, send, int, const void *, size_t, int);
    ON_FD("send", fd);
    DATA(buffer, size);
    fate = FATE;
    if (fate == 1) return -1;
    if (fate == 2) size = (size + 1) / 2;
    return after(&call, real(fd, buffer, size, flags));
}

ssize_t sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *address, socklen_t length) {
    REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ON_FD("send", fd);
    DATA(buffer, size);
    fate = FATE;
    if (fate == 1) return -1;
    if (fate == 2) size = (size + 1) / 2;
    return after(&call, real(fd, buffer, size, flags, address, length));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
    ON_FD("send", fd);
    fate = FATE;
    return fate == 1 ? -1 : after(&call, real(fd, message, flags));
}

ssize_t recv(int fd, void *buffer, size_t size, int flags) {
    REAL(ssize_t, recv, int, void *, size_t, int);
    ON_FD("recv", fd);
    fate = FATE;
    return fate == 1 ? -1 : after(&call, real(fd, buffer, size, flags));
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    REAL(int, connect, int, const struct sockaddr *, socklen_t);
    struct call call = {.kind = "connect"};
    int matters = mode != OFF && is_near(address, call.place), fate = FATE;
    return fate == 1 ? -1 : (int)after(&call, real(fd, address, length));
}

/* --- The wall clock ---------------------------------------------------------------------------------------------- */

static void bend(struct timespec *now) {
    if (mode == OFF || __atomic_load_n(&counted, __ATOMIC_SEQ_CST) < at) return;
    if (clock_frozen) {
        if (!frozen_at.tv_sec) frozen_at = *now;
        *now = frozen_at;
    }
    now->tv_sec += clock_jump_s;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, clock_gettime, clockid_t, struct timespec *);
    int result = real(clock, now);
    if (!result && clock == CLOCK_REALTIME && (clock_frozen || clock_jump_s)) bend(now);
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    (void)zone;
    now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return result;
}

time_t time(time_t *result) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (result) *result = exact.tv_sec;
    return exact.tv_sec;
}
