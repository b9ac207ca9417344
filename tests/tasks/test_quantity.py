"""GSM8K's numbers: each way of writing one gives its exact value, and what is no number gives none."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmsample.tasks.answers.quantity import last_quantity, quantity, same_number
from dlmsample.tasks.gsm8k import final_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"\boxed{\frac{36}{2}}", "18"),
        (r"\boxed{\dfrac{36}{2}} of 36", "18"),
        (r"\boxed{36/2}", "18"),
        (r"\boxed{1.8 \times 10^{3}}", "1800"),
        (r"\boxed{1.8e3}", "1800"),
        (r"\boxed{1 234}", "1234"),
        (r"\boxed{1 234 567}", "1234567"),
        (r"\boxed{1\,234}", "1234"),
        (r"\boxed{1\frac{1}{2}}", "1.5"),
        (r"\boxed{1 1/2}", "1.5"),
        (r"\boxed{\frac12}", "0.5"),
        (r"\boxed{\frac{1}{3}}", "1/3"),
        (r"\boxed{-\frac{1}{2}}", "-0.5"),
        (r"\boxed{\sqrt{16}}", "4"),
        (r"\boxed{2^{3}}", "8"),
        (r"\boxed{(3+4)*2}", "14"),
        (r"\boxed{3 \cdot 6}", "18"),
        (r"\boxed{3 + 4 = 7}", "7"),
        (r"\boxed{90^\circ}", "90"),
        (r"\boxed{18\%}", "18"),
        (r"\boxed{\textbf{18}}", "18"),
        (r"\boxed{\text{Janet makes \$18}}", "18"),
        (r"\boxed{3 \frac{1}{2} \text{ hours}}", "3.5"),
        # What cannot be evaluated is an answer without a value, not the first number in it.
        (r"\boxed{2\pi}", None),
        (r"\boxed{\sqrt{2}}", None),
        (r"\boxed{\sqrt[3]{27}}", None),
        (r"\boxed{\log 8}", None),
        (r"\boxed{5!}", None),
        (r"\boxed{1/0}", None),
        (r"\boxed{9^{9^{9}}}", None),
        (r"\boxed{10^{999}}", None),
        (r"\boxed{2**3}", None),
        (r"\boxed{" + "9" * 50 + "}", None),
        # Headings.
        ("#### Step 1\nShe has 18.", "18"),
        ("#### 1. Add\n9 + 9 = 18", "18"),
        ("#### 2) Add\n9 + 9 = 18", "18"),
        ("#### Step 1\n3 + 4\n#### Step 2\n#### 18\nof 20", "18"),
        ("#### Answer: 18 of 20", "20"),
        ("##### 5\n18", "18"),
        ("#### 18\n#### 19", "18"),
        ("####18", "18"),
        ("####\n18\n19", "18"),
        ("#### **18** of 20", "18"),
        (r"#### \$18 of 20", "18"),
        (r"#### \(18\) of 20", "18"),
        (r"#### $\frac{36}{2}$ of 20", "18"),
        ("#### 36/2", "18"),
        ("#### 1 018 km", "1018"),
        # Tags.
        ("<answer>18</answer> since 3 days", "18"),
        ("<answer>\\boxed{18}</answer>\n\\boxed{3}", "18"),
        ("\\boxed{3}\n<answer>18</answer>\n#### 4", "18"),
        ("<answer>It is 36/2</answer>", "18"),
        ("<answer>none</answer> 5", "5"),
        ("<answer>none</answer> \\boxed{5} of 6", "5"),
        # Running text.
        (r"It is \frac{36}{2}.", "18"),
        ("It is 36/2.", "18"),
        ("It costs 1.8e3", "1800"),
        (r"It costs $1.8 \times 10^3$.", "1800"),
        ("It costs 1.8 x 10^{3} dollars.", "1800"),
        ("It was on 12/31/2020", "2020"),
        ("She works 24 hours/day", "24"),
        ("It is 1\u202f234 km", "1234"),
        ("**18**", "18"),
        ("It is 1.8×10³.", "1800"),
        ("It is 1.8*10**3.", "1800"),
        ("It is 10³, as 10 × 10 × 10", "10"),
        ("It is 10³.", "1000"),
        ("It is 2^3.", "8"),
        ("It is -2^{3}.", "-8"),
        ("It is 2**3.", "8"),
        (r"The area is 25 \text{ cm}²", "25"),
        ("25 cm^2", "25"),
        (r"25 \text{cm}^{2}", "25"),
        ("f(x)² then", None),
        ("(3+4)² = x", "4"),
        ("so 3 **4 apples**", "4"),
        ("Step 2**18**", "18"),
        ("It has 18 m².", "18"),
        ("It is 1'234 km.", "1234"),
        ("It is 99999^99.", None),
        (r"\boxed{1.8×10³}", "1800"),
        (r"\boxed{3² + 9}", "18"),
        (r"\boxed{18 m²}", "18"),
        (r"\boxed{1'800}", "1800"),
    ],
)
def test_final_number(text: str, number: str | None) -> None:
    assert final_number(text) == number


def written(value: Fraction) -> list[str]:
    """Ways to write a number in a box that all have its value."""
    top, bottom = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    ways = [
        f"{sign}{top}/{bottom}",
        rf"{sign}\frac{{{top}}}{{{bottom}}}",
        rf"{sign}\dfrac {{{top}}} {{{bottom}}}",
        rf"{sign}\left(\frac{{{3 * top}}}{{{3 * bottom}}}\right)",
        rf"{sign}{top} \div {bottom}",
        rf"{sign}\frac{{{top}}}{{2}} \times \frac{{2}}{{{bottom}}}",
        rf"{sign}\sqrt{{\frac{{{top * top}}}{{{bottom * bottom}}}}}",
        rf"x = {sign}\frac{{{top}}}{{{bottom}}}",
        rf"\${sign}{top}/{bottom} \text{{ for 7 days}}",
    ]
    if bottom == 1:
        ways += [
            f"{sign}{top:,}",
            f"{sign}{top:,}".replace(",", " "),
            f"{sign}{top:,}".replace(",", r"\,"),
            f"{sign}{top:,}".replace(",", "{,}"),
            f"{sign}{top}.00",
            f"{sign}{top} \\text{{ dollars}}",
            f"**{sign}{top}**",
            rf"{sign}{top}000 \times 10^{{-3}}",
            f"{sign}{top}00e-2",
            rf"{sign}{top - 1}\frac{{2}}{{2}}" if top > 1 else f"{sign}{top}",
        ]
    return ways


@given(st.integers(-(10**7), 10**7), st.integers(1, 999))
@settings(max_examples=300, deadline=None)
def test_every_way_of_writing_a_number_has_its_value(top: int, bottom: int) -> None:
    for value in (Fraction(top), Fraction(top, bottom)):
        exact = f"{value.numerator}/{value.denominator}"
        for way in written(value):
            found = final_number(rf"so \boxed{{{way}}} and 3 more")
            assert same_number(found, exact), (way, found)
            assert not same_number(found, str(value.numerator + 1) + f"/{value.denominator}"), way
            assert same_number(final_number(f"3 + 4 <answer>{way}</answer> 5"), exact), way


@given(st.integers(-(10**7), 10**7), st.integers(1, 999))
@settings(max_examples=200, deadline=None)
def test_numbers_inside_running_text(top: int, bottom: int) -> None:
    for way in (f"{top}/{bottom}", rf"\frac{{{abs(top)}}}{{{bottom}}}", f"{top:,}", f"{top}e3"):
        found = last_quantity(f"So it is {way}.")
        value = {
            "/": Fraction(top, bottom),
            "f": Fraction(abs(top), bottom),
            "e": Fraction(top) * 1000,
        }.get("f" if "frac" in way else "/" if "/" in way else "e" if "e" in way else "", Fraction(top))
        assert same_number(found, f"{value.numerator}/{value.denominator}"), (way, found)


@given(st.text(alphabet=r"0123456789\{}()^/+-*x.,$ frac sqrt times text pi!", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_gives_a_number_or_none(text: str) -> None:
    for found in (quantity(text), last_quantity(text), final_number(f"\\boxed{{{text}}}")):
        assert found is None or same_number(found, found)
