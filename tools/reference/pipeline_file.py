"""The page of the pipeline file."""

from frame.config.models import PipelineConfig

from tools.reference.markdown import options


def page() -> str:
    """Every key of the file, from the models that read it."""
    schema = PipelineConfig.model_json_schema(by_alias=True)
    parts = schema.get("$defs", {})
    sections = [
        f"## {name}\n\n{part.get('description', '')}\n\n{options(part)}"
        for name, part in parts.items()
        if "properties" in part
    ]
    return (
        "\n\n".join(["# The pipeline file", schema.get("description", ""), options(schema), *sections]) + "\n"
    )
