"""A checkpoint under a policy, as lm-evaluation-harness (``lm_eval``) calls a model.

Nothing of lm-eval is imported here; :mod:`dlmsample.evaluation.commands` makes the model known to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import dlmsample
from dlmsample.decoding.sampler import Sampler
from dlmsample.decoding.saved import read, read_file
from dlmsample.evaluation.arguments import Generation, generation, rows, windows_of
from dlmsample.evaluation.likelihood import Likelihood, Pair, log_likelihood
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.recommended import RECOMMENDED, recommended
from dlmsample.policies.registry import FILES, changed_options, policy_class
from dlmsample.support.progress import Progress
from dlmsample.support.registry import unknown


class Told(NamedTuple):
    """What a run is told about its likelihoods."""

    requests: int
    mean_standard_error: float  #: nats


class HarnessModel:
    """What lm-eval asks of a model: texts for prompts, and log-likelihoods of texts. Rows are decoded in batches.

    Args:
        pretrained: embedded model, folder or hub id.
        policy: name of a decoding policy; "auto": the one that the adapter, head or checkpoint recommends; a .json or
            .yaml file: the one saved there. Its block length counts too; temperature, top-p and top-k are the task's.
        adapter: as in :func:`dlmsample.load`, and so are ``head``, ``device``, ``dtype``, ``revision``, ``family``,
            ``trust_remote_code`` and ``ignore_config``.
        block_length: as in :class:`dlmsample.Sampler`.
        samples: maskings per likelihood.
        greedy: also find out whether greedy decoding gives the continuation that a likelihood is asked for; without,
            the answer is always no. Tasks that count it (LAMBADA) need it, choices among answers do not.
        max_gen_toks: length of answers where a task says none.
        seed: of sampling and of maskings.
        batch_size: rows in one forward; "auto": 32.
        max_batch_size: with "auto", at most.
        options: of the policy.

    Raises:
        ValueError: as :func:`dlmsample.load` and the policy.

    Example:
        >>> from types import SimpleNamespace
        >>> model = HarnessModel("nano", "unmask", tokens_per_step=4)
        >>> problem = "Q: Ann had 3 pens and bought 2 more. How many pens does Ann have?\\nA:"
        >>> request = SimpleNamespace(args=(problem, {"until": ["####"], "max_gen_toks": 32}))
        >>> "5" in model.generate_until([request])[0]
        True
    """

    def __init__(
        self,
        pretrained: str = "nano",
        policy: str = "unmask",
        adapter: str | None = None,
        head: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        family: str | None = None,
        trust_remote_code: bool = False,
        ignore_config: Sequence[str] = (),
        block_length: int | Literal["all"] | None = None,
        samples: int = 128,
        greedy: bool = True,
        max_gen_toks: int = 256,
        seed: int = 0,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._policy, defaults = _policy(policy, (str(pretrained), adapter, head, revision), options)
        self.model: Denoiser = dlmsample.load(
            str(pretrained),
            adapter,
            head,
            device,
            dtype,
            trust_remote_code,
            family,
            revision=revision,
            ignore_config=ignore_config,
        )
        self._length: Any = defaults.get("block_length") if block_length is None else block_length
        self._samples, self._greedy, self._max_gen_toks, self._seed = samples, greedy, max_gen_toks, seed
        self.batch_size = rows(batch_size, max_batch_size)
        self._templated = False
        self._told = Told(0, 0.0)
        if self.model.tokenizer is None:
            raise ValueError(
                f"{self.model.name} has no tokenizer, and lm-eval's tasks are texts: give another checkpoint"
            )
        self._sampler(self.model, 0.0, 1.0, None)  # a policy that does not fit is told before any task is read

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answers of prompts, each under its task's own arguments.

        Args:
            requests: ``args`` of each are the prompt and a dict: ``until``, ``max_gen_toks`` (and its other names),
                ``do_sample``, ``temperature``, ``top_p``, ``top_k``.
            disable_tqdm: no progress.

        Returns:
            Texts, in the requests' order. A prompt that leaves too little room for its answer loses its beginning.

        Raises:
            ValueError: an argument that has no meaning here.
        """
        given = [generation(self.model, request.args[1], self._max_gen_toks) for request in requests]
        texts = [""] * len(requests)
        with Progress(len(requests), not disable_tqdm) as bar:
            for said in dict.fromkeys(given):
                numbers = [number for number, other in enumerate(given) if other == said]
                prompts = {number: self._prompt(requests[number].args[0], said.new_tokens) for number in numbers}
                for number, text in self._answers(prompts, said):
                    texts[number] = text
                    self._remember("generate_until", requests[number].args, text)
                    bar.tick(1)
        return texts

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """How probable continuations are: :func:`~dlmsample.evaluation.likelihood.log_likelihood`.

        Args:
            requests: ``args`` of each are the context and the continuation.
            disable_tqdm: not read.

        Returns:
            The bound in nats, and whether greedy decoding under the policy gives the continuation.
        """
        pairs = [self._pair(*request.args) for request in requests]
        found = self._likelihoods(pairs)
        same = self._decoded(pairs) if self._greedy else [False] * len(pairs)
        results = [(one.value, is_greedy) for one, is_greedy in zip(found, same, strict=True)]
        for request, result in zip(requests, results, strict=True):
            self._remember("loglikelihood", request.args, result)
        return results

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """How probable whole texts are, without a context: what does not fit at once is cut into windows.

        Every token counts once; a later window has as much of the text before it as fits.
        """
        given, size = len(self._encode("")), self.model.context  # what begins every text, such as a BOS, is context
        windows = [list(windows_of(self._encode(request.args[0]), given, size)) for request in requests]
        found = iter(self._likelihoods([window for text in windows for window in text]))
        totals = [sum(next(found).value for _ in text) for text in windows]
        for request, total in zip(requests, totals, strict=True):
            self._remember("loglikelihood_rolling", request.args, total)
        return totals

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Messages as one text, by the tokenizer's chat template."""
        self._templated = True
        if add_generation_prompt:
            return self.model.render(chat_history)
        return self.model.tokenizer.apply_chat_template(  # type: ignore[union-attr]
            chat_history, tokenize=False, add_generation_prompt=False, continue_final_message=True
        )

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The template that ``--apply_chat_template`` uses, for lm-eval's record."""
        return str(self.model.tokenizer.chat_template or "") if chat_template else ""  # type: ignore[union-attr]

    @property
    def tokenizer_name(self) -> str:
        """Tells the request caches of checkpoints apart."""
        return self.model.name.replace("/", "__")

    def get_model_info(self) -> dict[str, Any]:
        """What the results file says about the model."""
        return {
            "policy": repr(self._policy),
            "block_length": self._sampler(self.model, 0.0, 1.0, None).block_length,
            "model_num_parameters": sum(p.numel() for p in self.model.module.parameters()),
            "model_dtype": str(self.model.dtype),
            "likelihood_samples": self._samples,
            "likelihood_requests": self._told.requests,
            "likelihood_mean_standard_error": self._told.mean_standard_error,
        }

    def _sampler(self, model: Denoiser, temperature: float, top_p: float, top_k: int | None) -> Sampler:
        return Sampler(model, self._policy, self._length, temperature, top_p, top_k, self.batch_size)

    def _answers(self, prompts: Mapping[int, list[int]], said: Generation) -> Iterator[tuple[int, str]]:
        """Number and text of each answer, as they are done; the longest prompts first, so that all others fit in."""
        model = replace(self.model, facts=replace(self.model.facts, eos_ids=said.eos_ids))
        order = sorted(prompts, key=lambda number: len(prompts[number]), reverse=True)
        sampler = self._sampler(model, said.temperature, said.top_p, said.top_k)
        stream = sampler.stream((prompts[number] for number in order), said.new_tokens, self._seed, stop=said.stop)
        for answer in stream:
            yield order[answer.number], answer.text or ""

    def _decoded(self, pairs: Sequence[Pair]) -> list[bool]:
        """Whether greedy decoding gives each pair's answer; answers of one length are decoded together."""
        same = [not pair.answer for pair in pairs]
        sampler = self._sampler(replace(self.model, facts=replace(self.model.facts, eos_ids=())), 0.0, 1.0, None)
        for length in {len(pair.answer) for pair in pairs if pair.answer}:
            numbers = [number for number, pair in enumerate(pairs) if len(pair.answer) == length]
            numbers.sort(key=lambda number: len(pairs[number].context), reverse=True)
            for answer in sampler.stream((list(pairs[number].context) for number in numbers), length):
                number = numbers[answer.number]
                same[number] = answer.tokens == list(pairs[number].answer)
        return same

    def _likelihoods(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        found = log_likelihood(self.model, pairs, self._samples, self._seed, self.batch_size)
        if found and self._samples > 1:
            before, count = self._told, self._told.requests + len(found)
            total = before.mean_standard_error * before.requests + sum(one.error for one in found)
            self._told = Told(count, total / count)
        return found

    def _encode(self, text: str) -> list[int]:
        """Ids of a text; a chat template has written its special tokens already."""
        return self.model.tokenizer.encode(text, add_special_tokens=not self._templated)  # type: ignore[union-attr]

    def _prompt(self, text: str, new: int) -> list[int]:
        room = self.model.context - new
        if room < 1:
            raise ValueError(
                f"max_gen_toks {new} leaves no room for a prompt in the context of {self.model.name} "
                f"({self.model.context}): lower it (--gen_kwargs max_gen_toks=N)"
            )
        return self._encode(text)[-room:]

    def _pair(self, context: str, continuation: str) -> Pair:
        """Ids of both; where words begin with their space, a space at the context's end belongs to the continuation."""
        stripped = context.rstrip()
        ids, whole = self._encode(stripped), self._encode(context + continuation)
        if whole[: len(ids)] != ids:  # a token reaches over the border: then the two are encoded apart
            whole = ids + self._encode(context[len(stripped) :] + continuation)[len(self._encode("")) :]
        answer = whole[len(ids) :][: self.model.context]
        return Pair(ids[max(0, len(ids) + len(answer) - self.model.context) :], answer)

    def _remember(self, kind: str, arguments: Any, result: Any) -> None:
        """Let lm-eval keep a result (``--use_cache``) as soon as it is there."""
        hook = getattr(self, "cache_hook", None)
        if hook is not None:
            hook.add_partial(kind, arguments, result)


def _policy(
    name: str, checkpoint: tuple[str, str | None, str | None, str | None], options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The policy, and options of the Sampler that are recommended with it.

    Args:
        name: of the policy, "auto", or a file.
        checkpoint: model, adapter, head and revision.
        options: of the policy; they win over those of a recommendation or file, piece by piece in a chain.
    """
    defaults: dict[str, Any] = {}
    if name == "auto" or name.endswith(FILES):
        if name != "auto":
            said = read_file(name)
        else:
            source, entry = recommended(*checkpoint)
            if not entry:
                raise ValueError(f"{checkpoint[0]!r} has no {RECOMMENDED} here: name a policy instead of auto")
            said = read(entry, f"{RECOMMENDED} of {source}")
        name, options, defaults = said.policy, changed_options(said.policy_options, options), said.options
    known = policy_class(name).model_fields
    for option in options:
        if option not in known:
            raise unknown(f"argument of the model, or option of policy {name},", option, known)
    return policy_class(name)(**options), defaults
