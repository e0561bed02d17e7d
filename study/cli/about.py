"""Commands that say what there is: studies, settings, this installation."""

from typing import Annotated

import typer

from study.cli.options import DataOption, HomeOption, ProfileOption, StoreOption
from study.state.home import DEFAULT_HOME, Home

about_app = typer.Typer()


@about_app.command()
def studies() -> None:
    """List the shipped studies with their questions.

    Example: acl-study studies
    """
    from study.spec.files import shipped_studies
    from study.spec.resolve import read_study, resolve_study

    for name in shipped_studies():
        study = resolve_study(read_study(name))
        print(f"{name:20} {study.runs:4} trials  {study.question.strip()}")


@about_app.command()
def schema() -> None:
    """Print the JSON schema of study files, for completion and checks in editors.

    Begin a study file with: # yaml-language-server: $schema=study.schema.json

    Example: acl-study schema > study.schema.json
    """
    from study.spec.json_schema import schema_text

    print(schema_text())


@about_app.command()
def doctor(
    profile: ProfileOption = None,
    data: DataOption = None,
    store: StoreOption = None,
    with_ray: Annotated[bool, typer.Option("--ray/--no-ray", help="Start and end a Ray session, which takes some seconds.")] = True,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Check this installation and say how to mend it; with --profile, show its settings and every deviation instead.

    A problem keeps studies from running, and gives exit status 1; a warning limits what can be done.

    Example: acl-study doctor --data /data/FSDnoisy18k

    Example: acl-study doctor --profile paper-ssl
    """
    if profile is not None:
        from study.doctor.installation import installation_lines, profile_lines

        print("\n".join(installation_lines() + profile_lines(profile)))
        return
    from study.doctor.report import check_installation

    if check_installation(Home(home), store, data, with_ray=with_ray):
        raise typer.Exit(1)
