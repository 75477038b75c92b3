"""Makes Inter-Regular.ttf and Inter-SemiBold.ttf from the npm package inter-ui 4.1.1 (OFL 1.1).

    npm pack inter-ui@4.1.1 && tar xzf inter-ui-4.1.1.tgz
    pip install fonttools brotli
    python build.py package/web

What changes against the original: only the characters below stay; digits are the tabular ones (a
read-out must not jitter); nabla is Delta turned over, since Inter has none; OpenType pair kerning
is rewritten as the old `kern` table, which small readers understand; hinting and layout tables go.
"""

import sys

from fontTools import subset
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0

CHARS = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x391, 0x3CA)]))
CHARS += "ϑϕϵ∇×·−±≤≥≠≈∞∂∑∏√∫‖∥‘’“”–—…•′″→←↑↓⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺₀₁₂₃₄₅₆₇₈₉ⁿ‰ℓ⋅▲▼●○◆"
KERNED = "".join(map(chr, range(0x21, 0x7F)))


def pair_kerning(font):
    """{(left, right): units} from GPOS, for the glyphs of KERNED."""
    cmap = dict(font.getBestCmap())
    glyphs = [cmap[ord(c)] for c in KERNED]
    gpos = font["GPOS"].table
    features = [r.Feature for r in gpos.FeatureList.FeatureRecord if r.FeatureTag == "kern"]
    lookups = sorted({i for f in features for i in f.LookupListIndex})
    pairs = {}
    for index in lookups:
        seen = set()
        for sub in gpos.LookupList.Lookup[index].SubTable:
            sub = getattr(sub, "ExtSubTable", sub)
            if sub.LookupType != 2:
                continue
            covered = set(sub.Coverage.glyphs)
            for left in (g for g in glyphs if g in covered):
                for right in glyphs:
                    if (left, right) in seen:
                        continue
                    if sub.Format == 1:
                        records = sub.PairSet[sub.Coverage.glyphs.index(left)].PairValueRecord
                        value = next((r.Value1 for r in records if r.SecondGlyph == right), None)
                        if value is None:
                            continue
                    else:
                        a = sub.ClassDef1.classDefs.get(left, 0)
                        b = sub.ClassDef2.classDefs.get(right, 0)
                        value = sub.Class1Record[a].Class2Record[b].Value1
                    seen.add((left, right))
                    advance = getattr(value, "XAdvance", 0) if value else 0
                    if advance:
                        pairs[left, right] = pairs.get((left, right), 0) + advance
    return pairs


def build(source, target):
    font = TTFont(source)
    font.flavor = None
    kerning = pair_kerning(font)
    cmap = dict(font.getBestCmap())
    for table in font["cmap"].tables:
        if not table.isUnicode():
            continue
        for digit in "0123456789":
            table.cmap[ord(digit)] = cmap[ord(digit)] + ".tf"
        table.cmap[0x22C5] = cmap[0xB7]
        table.cmap[0x2225] = cmap[0x2016]
        table.cmap[0x2207] = "nabla"
    # The turned glyph: y -> height - y reverses the contours' direction, so x -> width - x as well.
    delta = cmap[0x394]
    width, height = font["hmtx"][delta][0], font["glyf"][delta].yMax
    pen = TTGlyphPen(font.getGlyphSet())
    font.getGlyphSet()[delta].draw(TransformPen(pen, (-1, 0, 0, -1, width, height)))
    font.setGlyphOrder([*font.getGlyphOrder(), "nabla"])
    font["glyf"]["nabla"] = pen.glyph()
    font["hmtx"]["nabla"] = (width, 0)
    options = subset.Options(
        layout_features=[], hinting=False, glyph_names=False, drop_tables=["GPOS", "GSUB", "GDEF"]
    )
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=CHARS)
    subsetter.subset(font)
    kept = set(font.getGlyphOrder())
    table = KernTable_format_0()
    table.coverage, table.apple = 1, False
    table.kernTable = {p: v for p, v in kerning.items() if p[0] in kept and p[1] in kept}
    font["kern"] = newTable("kern")
    font["kern"].version, font["kern"].kernTables = 0, [table]
    font.save(target)
    missing = [c for c in CHARS if ord(c) not in font.getBestCmap() and c.isprintable()]
    print(target, len(font.getGlyphOrder()), "glyphs", len(table.kernTable), "pairs; missing", missing)


for weight in ("Regular", "SemiBold"):
    build(f"{sys.argv[1]}/Inter-{weight}.woff2", f"Inter-{weight}.ttf")
