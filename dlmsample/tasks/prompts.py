"""Published prompts that several tasks share."""

from __future__ import annotations

FORMAT = """Respond in the following format:
<reasoning>
Your reasoning here
</reasoning>
<answer>
\\boxed{...}
</answer>"""

#: d1 (arXiv:2504.12216), GSM8K and MATH-500; the space before its line break is in the published prompt.
BOXED_MATH = (
    "You are a math expert. You will be given a question to solve. Solve it step by step. "
    "Wrap the final answer in a \\boxed{}. \n" + FORMAT
)
