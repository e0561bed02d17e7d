"""Commands that say what there is: studies, settings, this installation."""

import shutil
import textwrap
from typing import Annotated

import typer

from study.cli.options import DataOption, HomeOption, JsonOption, ProfileOption, StoreOption
from study.console import print_json, reserved_stdout
from study.state.home import DEFAULT_HOME, Home

about_app = typer.Typer()


@about_app.command()
def studies(as_json: JsonOption = False) -> None:
    """List the shipped studies with their questions.

    Example: acl-study studies

    Example: acl-study studies --json
    """
    from study.cli.json_fields import studies_fields
    from study.spec.files import shipped_studies
    from study.spec.resolve import read_study, resolve_study

    shipped = [resolve_study(read_study(name)) for name in shipped_studies()]
    if as_json:
        print_json(studies_fields(shipped))
        return
    width = shutil.get_terminal_size(fallback=(1000, 1)).columns  # a line each where the output is piped
    for study in shipped:
        begin = f"{study.name:20} {study.runs:4} trials  "
        print(textwrap.fill(begin + study.question.strip(), max(width, 2 * len(begin)), subsequent_indent=" " * len(begin)))


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
    as_json: JsonOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Check this installation and say how to mend it; with --profile, show its settings and every deviation instead.

    A problem keeps studies from running, and gives exit status 1; a warning limits what can be done.

    Example: acl-study doctor --data /data/FSDnoisy18k

    Example: acl-study doctor --profile paper-ssl

    Example: acl-study doctor --json --no-ray
    """
    if profile is not None:
        _show_profile(profile, as_json=as_json)
        return
    from study.cli.json_fields import doctor_fields
    from study.doctor.findings import count_problems
    from study.doctor.report import installation_findings, show_findings

    findings = installation_findings(Home(home), store, data, with_ray=with_ray)
    if as_json:
        with reserved_stdout():
            found = list(findings)
        print_json(doctor_fields(found))
    else:
        found = show_findings(findings)
    if count_problems(found):
        raise typer.Exit(1)


def _show_profile(profile: str, *, as_json: bool) -> None:
    from study.cli.json_fields import profile_fields
    from study.doctor.installation import describe_installation, installation_lines, profile_lines, settings_of_modes

    installation, modes = describe_installation(), settings_of_modes(profile)
    if as_json:
        print_json(profile_fields(profile, installation, modes))
    else:
        print("\n".join(installation_lines(installation) + profile_lines(profile, modes)))
