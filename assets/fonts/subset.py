#!/usr/bin/env python3
"""Makes the fonts of the studio: Inter and Phosphor, cut to what is used.

A developer's tool; the build needs only the files it leaves here. To run it, in an empty folder:

    npm pack inter-ui@4.1.1 && npm pack @phosphor-icons/web@2.1.2
    for archive in *.tgz; do mkdir "${archive%.tgz}"; tar xzf "$archive" -C "${archive%.tgz}"; done
    python3 -m venv venv && venv/bin/pip install fonttools==4.68.0 brotli
    venv/bin/python .../assets/fonts/subset.py .

Icons are named in `app/src/studio/theme/icons.rs`; after a change there, run this again.
"""

import re
import shutil
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

HERE = Path(__file__).resolve().parent
ICONS = HERE.parent.parent / "app/src/studio/theme/icons.rs"

TEXT = [
    (0x0020, 0x007E),  # Latin
    (0x00A0, 0x00FF),  # Latin-1 supplement
    (0x0100, 0x017F),  # Latin Extended-A
    (0x0192, 0x0192),  # ƒ
    (0x0218, 0x021B),  # Romanian
    (0x02C6, 0x02DD),  # accents by themselves
    (0x0384, 0x03CE),  # Greek
    (0x1E9E, 0x1E9E),  # ẞ
    (0x2007, 0x2027),  # spaces, dashes, quotation marks, bullets, …
    (0x202F, 0x203A),  # per mille, primes, guillemets
    (0x2044, 0x2044),  # fraction slash
    (0x2070, 0x209C),  # superscripts and subscripts
    (0x20AC, 0x20AC),  # €
    (0x2116, 0x2122),  # № ™
    (0x2190, 0x21FF),  # arrows
    (0x2200, 0x22FF),  # mathematical signs
    (0x2300, 0x2328),  # ⌘ ⌥ ⌃ ⌦: keys of shortcuts
    (0x232B, 0x232B),  # ⌫
    (0x23CE, 0x23CE),  # ⏎
    (0x25A0, 0x25FF),  # geometric shapes
    (0x2713, 0x2717),  # ✓ ✗
]


def options():
    """What every font is cut with: outlines and kerning, no hints, no names beyond the licence."""
    result = Options()
    result.hinting = False
    result.layout_features = ["kern", "mark", "mkmk", "ccmp"]
    result.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    result.notdef_outline = True
    result.drop_tables += ["DSIG", "STAT", "meta"]
    return result


def tabular(font):
    """Digits of one width, so that a number which changes does not push what is beside it."""
    replaced = {}
    gsub = font["GSUB"].table
    for record in gsub.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for table in gsub.LookupList.Lookup[index].SubTable:
                    replaced.update(getattr(table, "ExtSubTable", table).mapping)
    # Signs keep their own width: in text they are read far more often than in columns.
    for table in font["cmap"].tables:
        for code in range(ord("0"), ord("9") + 1):
            glyph = table.cmap.get(code)
            table.cmap[code] = replaced.get(glyph, glyph)


def cut(source, target, codes, prepare=None):
    """Writes `source`, cut to `codes`, as `target`."""
    font = TTFont(source)
    font.flavor = None
    if prepare:
        prepare(font)
    subsetter = Subsetter(options())
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font.save(HERE / target)
    print(f"{target}: {len(font.getBestCmap())} characters, {(HERE / target).stat().st_size} bytes")


def icon_codes(style):
    """The code points named in icons.rs, each checked against Phosphor's own table."""
    known = dict(re.findall(r'\.ph-([a-z0-9-]+):before \{\s*content: "\\([0-9a-f]+)"', style.read_text()))
    used = re.findall(r'/// .*\(`([a-z0-9-]+)`\)\n\s*[A-Z_]+ = "\\u\{([0-9a-f]+)\}"', ICONS.read_text())
    wrong = [name for name, code in used if known.get(name) != code]
    if wrong or not used:
        sys.exit(f"names and code points that do not belong together: {wrong or 'no icon found'}")
    return [int(code, 16) for _, code in used]


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    inter = next(folder.glob("inter-ui-*/package"))
    phosphor = next(folder.glob("phosphor-icons-web-*/package"))
    text = [code for first, last in TEXT for code in range(first, last + 1)]
    for weight in ["Regular", "SemiBold"]:
        cut(inter / f"web/Inter-{weight}.woff2", f"Inter-{weight}.ttf", text, tabular)
    regular = phosphor / "src/regular"
    cut(regular / "Phosphor.ttf", "Phosphor.ttf", icon_codes(regular / "style.css"))
    shutil.copyfile(inter / "LICENSE.txt", HERE / "Inter-LICENSE.txt")
    shutil.copyfile(phosphor / "LICENSE", HERE / "Phosphor-LICENSE.txt")


if __name__ == "__main__":
    main()
