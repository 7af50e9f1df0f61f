"""What an IBAN is: its length is from the IBAN Registry that SWIFT keeps for ISO 13616 (swift.com/standards), its check
digits are those of ISO 7064."""

REMAINDER, DIVISOR = 1, 97  # MOD 97-10

# Characters of an IBAN, by the country that it begins with.
LENGTHS = {
    **dict.fromkeys(["NO"], 15),
    **dict.fromkeys(["BE"], 16),
    **dict.fromkeys(["DK", "FI", "FK", "FO", "GL", "NL", "SD"], 18),
    **dict.fromkeys(["MK", "SI"], 19),
    **dict.fromkeys(["AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"], 20),
    **dict.fromkeys(["CH", "HR", "LI", "LV"], 21),
    **dict.fromkeys(["BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"], 22),
    **dict.fromkeys(["AE", "GI", "IL", "IQ", "OM", "SO", "TL"], 23),
    **dict.fromkeys(["AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"], 24),
    **dict.fromkeys(["LY", "PT", "ST"], 25),
    **dict.fromkeys(["IS", "TR"], 26),
    **dict.fromkeys(["BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"], 27),
    **dict.fromkeys(["AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"], 28),
    **dict.fromkeys(["BR", "EG", "PS", "QA", "UA"], 29),
    **dict.fromkeys(["JO", "KW", "MU", "YE"], 30),
    **dict.fromkeys(["MT", "SC"], 31),
    **dict.fromkeys(["LC"], 32),
    **dict.fromkeys(["RU"], 33),
}


def is_mistyped(number: str, country: str) -> bool:
    """Whether an account number, in capitals, is meant as an IBAN and is none. One that begins as an IBAN does is meant
    as one if it is as long as those of that country, or if the account is in a `country` that has them: anywhere else
    it is a number of that country's own."""
    if not (number[:2].isalpha() and number[2:4].isdigit()):
        return False
    fits = len(number) == LENGTHS.get(number[:2])
    return not _checks(number) if fits else country in LENGTHS


def _checks(number: str) -> bool:
    digits = "".join(str(int(character, 36)) for character in number[4:] + number[:4])
    return int(digits) % DIVISOR == REMAINDER
