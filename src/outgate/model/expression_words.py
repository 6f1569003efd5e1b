"""The names that RE2's syntax knows: its classes of characters, and the categories and scripts of Unicode.

The numbers are how many instructions a class comes to, about; they serve the estimate of `outgate.model.expressions`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping

__all__ = ["CLASSES", "MEMBERS", "PERL", "PERL_MEMBERS", "SCRIPTS"]

_BEYOND_ASCII = 8

PERL: Mapping[str, int] = {"d": 1, "s": 3, "w": 3, **dict.fromkeys("DSW", _BEYOND_ASCII)}
"""``\\d`` and its like, by the letter."""

_NAMED = {
    "alnum": 3, "alpha": 2, "ascii": 1, "blank": 2, "cntrl": 2, "digit": 1, "graph": 1, "lower": 1, "print": 1,
    "punct": 4, "space": 2, "upper": 1, "word": 3, "xdigit": 3,
}  # fmt: skip

CLASSES: Mapping[str, int] = {
    **{f"[:{name}:]": cost for name, cost in _NAMED.items()},
    **{f"[:^{name}:]": _BEYOND_ASCII for name in _NAMED},
}
"""``[:alpha:]`` and its like, as they stand within brackets."""

_WORD = string.ascii_letters + string.digits + "_"
_PRINT = "".join(map(chr, range(0x20, 0x7F)))
PERL_MEMBERS: Mapping[str, str] = {"d": string.digits, "s": "\t\n\f\r ", "w": _WORD}
"""The characters of ``\\d`` and its like. RE2, doc/syntax.txt: ``\\s`` is ``[\\t\\n\\f\\r ]``."""

MEMBERS: Mapping[str, str] = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "ascii": "".join(map(chr, range(0x80))),
    "blank": "\t ",
    "cntrl": "".join(map(chr, (*range(0x20), 0x7F))),
    "digit": string.digits,
    "graph": _PRINT.strip(),
    "lower": string.ascii_lowercase,
    "print": _PRINT,
    "punct": string.punctuation,
    "space": "\t\n\v\f\r ",
    "upper": string.ascii_uppercase,
    "word": _WORD,
    "xdigit": string.hexdigits,
}
"""The characters of ``[:alpha:]`` and its like."""

_CATEGORIES = """
    Any C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs
"""
_SCRIPTS = """
    Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo
    Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common
    Coptic Cuneiform Cypriot Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan
    Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Han Hangul
    Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi
    Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki
    Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean
    Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi
    Mongolian Mro Multani Myanmar Nabataean Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki
    Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Oriya
    Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan
    Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac
    Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Ugaritic
    Vai Wancho Warang_Citi Yezidi Yi Zanabazar_Square
"""

SCRIPTS = frozenset(_CATEGORIES.split()) | frozenset(_SCRIPTS.split())
"""What may stand in ``\\p{...}``: those of Unicode 13, which every RE2 of the last years knows."""
