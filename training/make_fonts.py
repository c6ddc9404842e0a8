"""Cut the two small fonts of sim/render/fonts out of free fonts that Debian ships.

    apt-get install fonts-noto-cjk fonts-opendin        # both SIL Open Font License 1.1
    pip install fonttools
    python -m training.make_fonts

Writes plate-hanzi.ttf (from Noto Sans CJK SC Bold) and plate-latin.ttf (from OSP-DIN) with only the characters a plate
can carry. The OFL keeps reserved names for the originals, so both subsets get names of their own. Outlines of Noto are
cubic (CFF); they become quadratic `glyf` outlines, which every rasteriser reads, within 1/1000 em.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont, newTable

from sim.render.plate import HANZI, LATIN

HANZI_SOURCE = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc")
HANZI_FACE = 2  # Noto's collection: JP, KR, SC, TC, HK
LATIN_SOURCE = Path("/usr/share/fonts/truetype/opendin/OSP-DIN.ttf")
TARGET = Path(__file__).parent.parent / "sim" / "render" / "fonts"


def subset(font: TTFont, characters: str) -> None:
    """Keep only the characters' glyphs, without layout features or hints."""
    options = Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=[], desubroutinize=True)
    options.drop_tables += ["BASE", "VORG", "vhea", "vmtx", "GPOS", "GSUB", "GDEF", "DSIG", "FFTM"]
    cutter = Subsetter(options)
    cutter.populate(text=characters)
    cutter.subset(font)


def to_quadratic(font: TTFont) -> None:
    """Replace cubic CFF outlines by quadratic ones."""
    glyphs = {}
    outlines = font.getGlyphSet()
    for name in font.getGlyphOrder():
        pen = TTGlyphPen(outlines)
        outlines[name].draw(Cu2QuPen(pen, 1.0, reverse_direction=True))
        glyphs[name] = pen.glyph()
    table = newTable("glyf")
    table.glyphOrder, table.glyphs = font.getGlyphOrder(), glyphs
    font["loca"], font["glyf"] = newTable("loca"), table
    maxp = font["maxp"]
    maxp.tableVersion = 0x00010000
    for field in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs"):
        setattr(maxp, field, 1 if field == "maxZones" else 0)
    for field in ("maxStackElements", "maxSizeOfInstructions", "maxComponentElements"):
        setattr(maxp, field, 0)
    font["post"].formatType, font["post"].extraNames, font["post"].mapping = 2.0, [], {}
    font["post"].glyphOrder = font.getGlyphOrder()
    del font["CFF "]
    font.sfntVersion = "\x00\x01\x00\x00"


def rename(font: TTFont, family: str) -> None:
    """A name of its own, and the licence it stays under."""
    table = font["name"]
    table.names = []
    for number, text in (
        (1, family),
        (2, "Regular"),
        (4, family),
        (6, family.replace(" ", "")),
        (13, "SIL Open Font License, Version 1.1"),
        (14, "https://openfontlicense.org"),
    ):
        table.setName(text, number, 3, 1, 0x409)


def main() -> None:
    for source, face, characters, family, name in (
        (HANZI_SOURCE, HANZI_FACE, HANZI, "Zhian Plate Hanzi", "plate-hanzi.ttf"),
        (LATIN_SOURCE, -1, LATIN, "Zhian Plate Latin", "plate-latin.ttf"),
    ):
        if not source.exists():
            sys.exit(f"make_fonts: {source} is missing; run: apt-get install fonts-noto-cjk fonts-opendin")
        font = TTFont(source, fontNumber=face, recalcTimestamp=False)
        subset(font, characters)
        if "CFF " in font:
            to_quadratic(font)
        rename(font, family)
        font.save(TARGET / name)
        print(f"{name}: {len(characters)} characters, {(TARGET / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
