"""The shadow that tests/shim/drop_unsynced.c keeps of a folder: prepared, and turned back into one.

`prepare` writes a shadow that says: everything in the folder is durable. `restore` throws the folder
away and rebuilds it from what the shadow says is durable.
"""
import os
import pathlib
import shutil

PAGE = 4096


def prepare(folder, shadow):
    """Declares everything in `folder` durable, in a new shadow."""
    folder, shadow = pathlib.Path(folder), pathlib.Path(shadow)
    shutil.rmtree(shadow, ignore_errors=True)
    (shadow / "inodes").mkdir(parents=True)
    (shadow / "dirs").mkdir()
    for path, _, _ in os.walk(folder):
        lines = []
        with os.scandir(path) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                lines.append(f"{entry.inode()} {'d' if is_folder else 'f'} {entry.name}\n")
                if not is_folder:
                    shutil.copyfile(entry.path, shadow / "inodes" / str(entry.inode()))
        (shadow / "dirs" / str(os.stat(path).st_ino)).write_text("".join(lines))


def environment(folder, shadow, library, **faults):
    """The variables that make a process keep the shadow up to date. `faults`: lie="files@1" and the
    like, see the shim."""
    variables = {"LD_PRELOAD": str(library), "CAIRN_SHIM_ROOT": str(folder),
                 "CAIRN_SHIM_SHADOW": str(shadow)}
    for name, value in faults.items():
        variables[f"CAIRN_SHIM_{name.upper()}"] = value
    return variables


def restore(folder, shadow, mix=None):
    """Replaces `folder` by what is durable.

    With `mix`, a random.Random, files under journal/ get each page either as it was synced or as it
    was last written: a power cut may have let the kernel write back any part of what was not synced.
    """
    folder, shadow = pathlib.Path(folder), pathlib.Path(shadow)
    fresh = folder.with_name(folder.name + ".restored")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    _rebuild(fresh, os.stat(folder).st_ino, shadow, _current_files(folder / "journal"), mix)
    shutil.rmtree(folder)
    fresh.rename(folder)
    return folder


def _current_files(folder):
    """inode number -> path, of the files that are there now."""
    if not folder.is_dir():
        return {}
    return {os.stat(path).st_ino: path for path in folder.iterdir() if path.is_file()}


def _rebuild(target, inode, shadow, current, mix):
    names = shadow / "dirs" / str(inode)
    if not names.exists():
        return  # the folder's own names were never synced: it is empty
    for line in names.read_text().splitlines():
        child, kind, name = line.split(" ", 2)
        if kind == "d":
            (target / name).mkdir()
            _rebuild(target / name, child, shadow, current, mix)
            continue
        synced = shadow / "inodes" / child
        content = synced.read_bytes() if synced.exists() else b""
        if mix is not None and int(child) in current:
            content = _mixed(content, current[int(child)].read_bytes(), mix)
        (target / name).write_bytes(content)


def _mixed(synced, written, mix):
    size = max(len(synced), len(written)) if mix.random() < 0.5 else len(synced)
    pages = []
    for offset in range(0, size, PAGE):
        source = written if mix.random() < 0.5 else synced
        page = source[offset:offset + PAGE]
        pages.append(page.ljust(min(PAGE, size - offset), b"\0"))
    return b"".join(pages)
