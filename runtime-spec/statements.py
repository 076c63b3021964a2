"""What the specification demands, statement by statement, and how a runtime may be wrong about it."""

import copy

# How often each file of runtime-spec 1.3.0 says MUST: the statements of a file add up to this.
WORDS = {
    "runtime.md": 51,
    "config.md": 128,
    "config-linux.md": 72,
    "features.md": 8,
    "features-linux.md": 10,
}

ALL = []


class Elsewhere(Exception):
    """This machine can't show the statement; the reason says what it takes."""


class Statement:
    """One demand. `words` is how many MUSTs of `file` it answers; `joins` says where the further ones stand."""

    def __init__(self, file, section, text, words=1, joins=None, wrong=None):
        assert (words == 1) == (joins is None), f"{text}: several words need their places told"
        self.file, self.section, self.text = file, section, text
        self.words, self.joins, self.wrong = words, joins, wrong
        self.name = self.test = self.platform = None


def statements_of(group, file):
    """The decorators of a module: its statements are numbered within `group` and answer words of `file`."""

    def add(*args, **kwargs):
        made = Statement(file, *args, **kwargs)
        number = 1 + sum(other.name.rsplit("-", 1)[0] == group for other in ALL)
        made.name = f"{group}-{number}"
        ALL.append(made)
        return made

    def statement(*args, **kwargs):
        made = add(*args, **kwargs)

        def take(test):
            made.test = test
            return test

        return take

    def elsewhere(platform, *args, **kwargs):
        """A demand on another platform than Linux: not applicable here."""
        add(*args, **kwargs).platform = platform

    return statement, elsewhere


class Wrong:
    """A runtime that is wrong in one thing: `what`, in words, and the verbs where it is."""

    def __init__(self, what, verbs):
        self.what, self.verbs = what, verbs


class Edited(Wrong):
    """Goes by another config.json than the one in the bundle."""

    def __init__(self, what, edit, verbs=("create", "run")):
        super().__init__(what, verbs)
        self.edit = edit

    def answer(self, wrapper):
        config = copy.deepcopy(wrapper.config())
        self.edit(config)
        return wrapper.with_config(config)


class Answers(Wrong):
    """Does what it should and says something else: its standard output goes through `change`."""

    def __init__(self, what, change, verbs=("state",)):
        super().__init__(what, verbs)
        self.change = change

    def answer(self, wrapper):
        done = wrapper.real(capture=True)
        done.stdout = self.change(done.stdout)
        return done


class Content(Wrong):
    """Reports no error: where a right one fails, this one is silent and exits with 0."""

    def answer(self, wrapper):
        done = wrapper.real()
        done.returncode, done.stderr = 0, ""
        return done


class Acts(Wrong):
    """Does something of its own: `act(wrapper)` returns how it ended."""

    def __init__(self, what, act, verbs):
        super().__init__(what, verbs)
        self.act = act

    def answer(self, wrapper):
        return self.act(wrapper)
