"""``lucidbox explain``: why this box, can the reason be trusted, and why was an object missed."""

import argparse
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import progress, say, write_json
from lucidbox.cli.options import add_flag, add_number, add_option, add_options, add_verb, load_detector
from lucidbox.core.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lucidbox.core.detections import Detections
    from lucidbox.detector import Detector
    from lucidbox.explain import Explanation

SEARCHES = ("optimised", "search", "drise")
"""Methods that draw at random."""

DESCRIPTION = "Explain detections by heat maps, and say how far each map can be trusted."

EXAMPLES = """\
methods:
  odam-box       odam and the place in the box together (default)
  odam           each cell's own say in one detection, gradient times activation
  optimised      what, shown first, brings it back and, hidden first, takes it away: learnt in seconds
  search         the same found by asking, 600 inferences; any engine
  gradcam        channels weighed by their say in one detection
  gradcam-class  channels weighed by their say in a class, all over P3
  eigencam       what a layer responds to most, whatever the detection
  drise          what the detection needs, found by hiding parts; any engine

examples:
  lucidbox explain street.jpg --weights yolo11n.pt                    # the best box
  lucidbox explain street.jpg --weights yolo11n.pt --class person     # every person
  lucidbox explain street.jpg --weights yolo11n.pt --best             # takes seconds; Ctrl-C keeps what is done
  lucidbox explain street.jpg --compare old.pt new.pt --box 1         # what each of two models looked at
  lucidbox explain street.jpg --weights yolo11n.pt --box 2 --side left --layer backbone.mix_p4
  lucidbox explain street.jpg --weights yolo11n.onnx --box 1 --method drise --masks 2000
  lucidbox explain street.jpg --weights yolo11n.pt --at 40,60,120,300 --class dog   # why no dog here?
  lucidbox explain --measure val2017/ --annotations instances.json --weights yolo11n.pt --sample 50
"""


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "explain", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("picture", nargs="?", metavar="PICTURE", help="a picture file")
    add_options(parser, "--weights", "--layout", "--names")
    what = parser.add_argument_group("what is explained")
    add_number(what, "--box", "this detection; 1 is the best (default)")
    what.add_argument("--class", dest="class_name", metavar="NAME", help="every detection of this class")
    add_flag(what, "--all", "every detection")
    what.add_argument("--at", metavar="X1,Y1,X2,Y2", help="with --class: why nothing of it was found here")
    what.add_argument(
        "--compare", nargs=2, metavar="WEIGHTS", help="explain one place by two models, side by side"
    )
    what.add_argument("--side", metavar="SIDE", help="why is this side there: left, top, right or bottom")
    add_options(what, "--conf")
    how = parser.add_argument_group("how")
    how.add_argument("--method", metavar="NAME", help="see below (default: odam-box; with --side odam)")
    add_flag(how, "--best", "the best map, by search: takes seconds a detection")
    how.add_argument(
        "--layer", metavar="NAME", help="look here: a layer's name, own (the detection's level) or early"
    )
    add_number(how, "--masks", "masks of drise (1000)")
    add_number(how, "--steps", "steps of optimised (32)")
    add_number(how, "--inferences", "of search, at most (600)")
    add_option(how, "--seed", help="of what methods draw at random, and of --sample (0)")
    add_options(how, "--engine", "--precision", "--size")
    out = parser.add_argument_group("output")
    out.add_argument("--save", metavar="DIR", help="where results go: a new folder (default: runs/explain)")
    add_option(out, "--json", help="JSON on standard output; words on standard error")
    over = parser.add_argument_group("over a data set")
    over.add_argument(
        "--measure",
        metavar="DIR",
        help="figures of every quick method, or of --method, over these pictures' detections",
    )
    add_option(over, "--annotations", metavar="JSON", help="with --measure: COCO annotations of the pictures")
    add_number(over, "--sample", "with --measure: only N detections, at random")


def run(arguments: argparse.Namespace) -> int:
    """Explain, say why not, or measure; 0, or 1 if there is nothing to explain."""
    _check(arguments)
    if arguments.compare:
        from lucidbox.cli.explain.compare import compare_command

        return compare_command(arguments)
    detector = load_detector(arguments, conf=arguments.conf)
    if arguments.measure:
        from lucidbox.cli.explain.measure import measure_command

        return measure_command(arguments, detector)
    return _missed(arguments, detector) if arguments.at else _explain(arguments, detector)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict one another or would have no effect.

    Raises:
        OptionError: options contradict one another, or one needs another.
    """
    if bool(arguments.picture) == bool(arguments.measure):
        raise OptionError("give one picture, or --measure DIR")
    if arguments.measure and not arguments.annotations:
        raise OptionError("--measure needs --annotations: the objects that are in the pictures")
    if not arguments.measure and (arguments.annotations or arguments.sample is not None):
        raise OptionError("--annotations and --sample belong to --measure")
    if arguments.at and not arguments.class_name:
        raise OptionError("--at needs --class: what should have been found there")
    given = [arguments.box is not None, bool(arguments.class_name), arguments.all]
    if sum(given) > 1:
        raise OptionError("choose one of --box, --class, --all")
    if arguments.measure and any([*given, arguments.at, arguments.side, arguments.save]):
        raise OptionError(
            "--measure takes every detection and prints: leave out --box, --class, --all, --at, --side, --save"
        )
    if arguments.at and arguments.side:
        raise OptionError("--side belongs to a detection; leave it out with --at")
    if arguments.best and (arguments.method or arguments.layer or arguments.measure):
        raise OptionError("--best chooses the method itself; leave out --method, --layer and --measure")
    if arguments.compare and (arguments.measure or arguments.weights or arguments.all or arguments.side):
        raise OptionError(
            "--compare names both models and explains one place: leave out --weights, --measure, --all, --side"
        )
    _check_search(arguments)


def _check_search(arguments: argparse.Namespace) -> None:
    """Refuse settings of a search that is not asked for."""
    method, over = arguments.method, bool(arguments.measure)
    if arguments.masks is not None and not over and method != "drise":
        raise OptionError("--masks belongs to --method drise")
    if arguments.steps is not None and not over and method != "optimised":
        raise OptionError("--steps belongs to --method optimised")
    if arguments.inferences is not None and not over and not arguments.best and method != "search":
        raise OptionError("--inferences belongs to --best and --method search")
    if arguments.seed is not None and not over and not arguments.best and method not in SEARCHES:
        raise OptionError(f"--seed belongs to --best and to the methods {', '.join(SEARCHES)}")


def _explain(arguments: argparse.Namespace, detector: "Detector") -> int:
    """Write a panel for each chosen detection."""
    from lucidbox.cli.explain.report import output_folder, save_explanation
    from lucidbox.explain import explain_each
    from lucidbox.images.reading import read_image

    options = method_options(arguments)
    picture = read_image(arguments.picture)
    found = detector(picture)
    assert not isinstance(found, list)
    chosen = _chosen(arguments, found)
    if not chosen:
        limit = detector.limits.conf
        kind = arguments.class_name or "object"
        say(f"{arguments.picture}: no {kind} above {limit:g}; lower --conf, or ask --at")
        if arguments.json:
            write_json([])
        return 1
    stems = [f"box-{row + 1}-{found.labels[row]}" for row in chosen]
    with output_folder(arguments) as folder:
        explanations = explain_each(detector, picture, found[chosen], side=arguments.side, **options)
        save_explanation(arguments, folder, stems[: len(explanations)], explanations)
    return _stopped(explanations, len(chosen))


def _stopped(explanations: "Sequence[Explanation]", asked: int) -> int:
    """0, or 130 if Ctrl-C came while maps were searched for: what was found by then is saved."""
    if len(explanations) == asked and not any(one.unfinished for one in explanations):
        return 0
    say(f"stopped: {len(explanations)} of {asked} explained, the last one unfinished or left out")
    return 130


def _chosen(arguments: argparse.Namespace, found: "Detections") -> list[int]:
    """Rows of the detections that were asked for.

    Raises:
        OptionError: the box does not exist, or the class is not in the model.
    """
    from lucidbox.core.class_names import class_ids

    if arguments.class_name:
        wanted = class_ids([arguments.class_name], found.names)
        return [row for row in range(len(found)) if found.classes[row] in wanted]
    if arguments.all:
        return list(range(len(found)))
    number = 1 if arguments.box is None else arguments.box
    if arguments.box is None and not len(found):
        return []
    if not 1 <= number <= len(found):
        there = f"there are {len(found)}, numbered from 1, best first" if len(found) else "nothing was detected"
        raise OptionError(f"--box {number} does not exist: {there}")
    return [number - 1]


def _missed(arguments: argparse.Namespace, detector: "Detector") -> int:
    """Print the nearest anchors, and write the map of the score that was too low."""
    from lucidbox.cli.explain.report import output_folder, save_explanation, say_near
    from lucidbox.explain.counterfactual import counterfactual
    from lucidbox.explain.explanation import explain_targets
    from lucidbox.explain.methods import METHODS, network_of
    from lucidbox.explain.near_anchors import as_detection, near_anchors
    from lucidbox.explain.targets import target_at
    from lucidbox.images.reading import read_image

    options = method_options(arguments)
    place = numbers(arguments.at)
    class_id = only_class(arguments.class_name, detector.names)
    raw = detector.predictor.infer([read_image(arguments.picture)])[0].copy()
    near = near_anchors(raw, detector.names, place, class_id, detector.limits)
    say_near(arguments, near, detector.names[class_id])
    best = near[0]
    shown = as_detection(best, class_id, detector.names)
    target = target_at(raw, best.anchor, class_id)
    method = METHODS[options["method"]]
    network = network_of(detector, options["method"]) if method.network else None
    with output_folder(arguments) as folder:
        explanations = explain_targets(detector.predictor, raw, [shown], [target], network=network, **options)
        otherwise = None
        if method.search is not None and method.ordered:
            otherwise = counterfactual(detector.predictor, raw, explanations[0].heat, place, class_id)
        stem = f"missed-{detector.names[class_id]}"
        save_explanation(arguments, folder, [stem], explanations, near, otherwise)
    return _stopped(explanations, 1)


def method_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Method, layer and what a search may spend; checked before anything takes time."""
    from dataclasses import replace

    from lucidbox.cli.explain.report import effort_of, masking_of
    from lucidbox.explain.methods import BEST_METHOD, DEFAULT_METHOD, SIDE_METHOD, checked_method

    usual = SIDE_METHOD if arguments.side else DEFAULT_METHOD
    name = BEST_METHOD if arguments.best else arguments.method or usual
    checked_method(name, arguments.layer, arguments.side)
    return {
        "method": name,
        "layer": arguments.layer,
        "masking": replace(masking_of(arguments), progress=progress("batch")),
        "effort": replace(effort_of(arguments), progress=progress("step")),
    }


def only_class(wanted: str, names: "Sequence[str]") -> int:
    """The id of the one class that goes by a name or an id.

    Raises:
        OptionError: it is not in the model, or several are called so.
    """
    from lucidbox.core.class_names import class_ids

    class_id, *others = class_ids([wanted], names)
    if others:
        ids = ", ".join(map(str, [class_id, *others]))
        raise OptionError(f"--at: several classes are called {wanted}; give one of their ids: {ids}")
    return class_id


def numbers(text: str) -> tuple[float, ...]:
    """The four sides of ``--at``.

    Raises:
        OptionError: it is malformed.
    """
    try:
        place = tuple(float(part) for part in text.split(","))
    except ValueError:
        place = ()
    if len(place) != 4:
        raise OptionError(f"--at {text}: give four numbers, left,top,right,bottom, in pixels of the picture")
    return place
