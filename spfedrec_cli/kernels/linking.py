"""How numba puts a compiled function together with those that it calls: each is optimised once on its own, and only
what Python calls becomes machine code, with copies of its own of all that it calls.

By itself numba optimises every function together with all below it, over and over, and makes machine code of each,
though nobody runs it: that takes twice the time. And where one function has several copies in memory, all run the first
one. Copies may round otherwise, so that a process which compiled came to other bits than one which read from disk.

numba promises little of what this builds on: pyproject.toml says between which versions it was seen to hold.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, Flags
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering


class Part(JITCodeLibrary):
    """A function that only compiled ones call."""

    inlined = False  # whether it becomes part of whoever calls it

    def finalize(self) -> None:
        """Optimise it after what becomes part of it has come in, and before what it calls."""
        called = dict.fromkeys(self._linking_libraries)
        behind = [library for library in called if isinstance(library, Part) and not library.inlined]
        self._link(library for library in called if library not in behind)
        self._optimize_final_module()
        self._link(behind)
        self._finalized = True

    def _link(self, libraries: Iterable[JITCodeLibrary]) -> None:
        for library in libraries:
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)


class Whole(JITCodeLibrary):
    """A function that Python calls."""

    def _optimize_final_module(self) -> None:
        """Whatever is still called then is nobody else's."""
        super()._optimize_final_module()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name == "linkonce_odr":
                function.linkage = "internal"


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerPart(NativeLowering):
    """Into a `Part`."""

    _name = "lower_part"

    def run_pass(self, state: Any) -> bool:
        state.library = Part(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.inlined = state.flags.forceinline
        state.flags.no_compile = True
        super().run_pass(state)
        named, environment = state.cr.fndesc, state.cr.env
        # Callers look it up by an entry for Python, though nothing is behind this one.
        entry = _dynfunc.make_function(named.lookup_module(), named.qualname, "", 0, environment, (state.library,))
        state.targetctx.insert_user_function(entry, named, [state.library])
        state.cr = state.cr._replace(cfunc=entry)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerWhole(NativeLowering):
    """Into a `Whole`."""

    _name = "lower_whole"

    def run_pass(self, state: Any) -> bool:
        state.library = Whole(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


class Options(Flags):
    """Of one function. numba compares them some ten thousand times, and would write all of them down each time."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flags) and bool(self._values == other._values)

    def __hash__(self) -> int:
        return len(self._values)


class PartCompiler(CompilerBase):
    """Of functions that only compiled ones call: numba's own steps, but for the last."""

    lowering: ClassVar[type[NativeLowering]] = LowerPart

    def __init__(
        self, typing: Any, target: Any, library: Any, args: Any, result: Any, flags: Flags, local: Any
    ) -> None:
        super().__init__(typing, target, library, args, result, Options(flags), local)

    def define_pipelines(self) -> list[PassManager]:
        steps = DefaultPassBuilder.define_nopython_pipeline(self.state)
        steps.passes = [(self.lowering if step is NativeLowering else step, said) for step, said in steps.passes]
        steps.finalize()
        return [steps]


class WholeCompiler(PartCompiler):
    """Of those that Python calls."""

    lowering = LowerWhole
