"""Commands that say what there is: studies, settings, this installation."""

import typer

from study.options import ProfileOption

about_app = typer.Typer()


@about_app.command()
def studies() -> None:
    """List the shipped studies with their questions.

    Example: acl-study studies
    """
    from study.study_files import read_study, resolve_study, shipped_studies

    for name in shipped_studies():
        study = resolve_study(read_study(name))
        print(f"{name:20} {study.runs:4} trials  {study.question.strip()}")


@about_app.command()
def schema() -> None:
    """Print the JSON schema of study files, for completion and checks in editors.

    Begin a study file with: # yaml-language-server: $schema=study.schema.json

    Example: acl-study schema > study.schema.json
    """
    from study.schema import schema_text

    print(schema_text())


@about_app.command()
def doctor(profile: ProfileOption = None) -> None:
    """Show this installation; with --profile, its settings and every deviation from the published code.

    Example: acl-study doctor --profile paper-ssl
    """
    from study.doctor import installation_lines, profile_lines

    print("\n".join(installation_lines() + ([] if profile is None else profile_lines(profile))))
