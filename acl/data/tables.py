"""CSV tables about clips, which people write."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from acl.system.errors import CorpusError


def table_rows(path: Path, check_header: Callable[[Sequence[str]], None]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table, each with its place ("train.csv line 7"), by the names of its columns.

    Args:
        path: of the CSV file, UTF-8, whose first line names the columns.
        check_header: raises CorpusError where columns are missing.

    Raises:
        CorpusError: the file cannot be read, or a row has not as many fields as the header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            header = list(reader.fieldnames or [])
            if twice := [name for name in header if name and header.count(name) > 1]:
                raise CorpusError(f"{path} names the column {twice[0]} twice; keep one of them")
            check_header(header)
            empty = True
            for row in reader:
                empty = False
                where = f"{path.name} line {reader.line_num}"
                if None in row or None in row.values():
                    raise CorpusError(f"{where} does not have {len(header)} fields; quote a field that contains a comma")
                yield where, row
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}); name the table of the clips") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is not UTF-8 text; save it as such") from None
    except csv.Error as error:
        raise CorpusError(f"{path.name} line {reader.reader.line_num}: {error}; correct the table") from None
    if empty:
        raise CorpusError(f"{path} lists no clips; restore the table")
