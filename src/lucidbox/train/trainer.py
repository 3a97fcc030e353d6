"""The training loop: from a data set, a network and a recipe to weights for ``lucidbox predict``."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from lucidbox import weights as weights_files
from lucidbox.core.errors import ImageError, LucidboxError, OptionError, OutputError
from lucidbox.core.filesystem import cache_folder, sha256_of
from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.sample import Samples
from lucidbox.datasets.augment.settings import Augmentation
from lucidbox.datasets.training.cache import build_cache
from lucidbox.datasets.training.data import TrainingData, describe_data, identity, open_data
from lucidbox.engines.torch import refuse_after_fork
from lucidbox.model import Network
from lucidbox.train import checkpoint as checkpoints
from lucidbox.train.callbacks import SILENT, Callbacks, Outcome
from lucidbox.train.charts import training_curves
from lucidbox.train.checkpoint import Checkpoint, Identity, TrainingProgress
from lucidbox.train.epoch_timer import EpochTimer
from lucidbox.train.loader import Batch, deaths_in_words, load_batches, refuse_second_import
from lucidbox.train.logs import check_logs
from lucidbox.train.processes import Processes
from lucidbox.train.recipe import Recipe
from lucidbox.train.records import EpochRow, Records
from lucidbox.train.results import BEST, LAST, Origin, Results
from lucidbox.train.sampling_schedule import SamplingSchedule
from lucidbox.train.schedule import Rates, optimizer_steps, rates
from lucidbox.train.signals import Interruption, interruptible
from lucidbox.train.teacher import Teacher
from lucidbox.train.train_step import Losses, TrainStep
from lucidbox.train.validation import Validator

ALONE = Processes(0, 1, torch.device("cpu"))

MEASURED = 256
"""Pictures, over all processes, on which the average's norms are measured after an epoch, if it has so many."""


class TrainingError(LucidboxError):
    """A training cannot continue; saved files stay."""


class Trainer:
    """A training, new or resumed.

    Example:
        >>> data = open_data("data.yaml")
        >>> trainer = Trainer(data, build("yolo11n", len(data.names)), Recipe(epochs=50), Path("runs/first"))
        >>> outcome = trainer.run()

    Args:
        data: what to train on and validate with, or the path of a data set.
        network: of as many classes as the data; trained in place, in float32.
        recipe: how to train, or the keys that differ from the defaults.
        folder: for the results; new or empty.
        processes: the processes that train together; by default this one alone, on the processor.
        callbacks: methods that are called as the training proceeds.
        logs: logs besides the CSV files: "tensorboard", "mlflow".
        licence: the licence of the trained weights, written into them.
        provenance: where the network's present weights come from, in words.
        remember: further values to save in checkpoints, such as the path of the data.

    Raises:
        OptionError: network and data have different numbers of classes, a log is unknown or not installed, or the
            recipe cannot be followed here.
        EngineError: torch has worked before this process was forked.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        data: TrainingData | str | Path,
        network: Network,
        recipe: Recipe | Mapping[str, Any],
        folder: str | Path,
        *,
        processes: Processes = ALONE,
        callbacks: Callbacks = SILENT,
        logs: Sequence[str] = (),
        licence: str = weights_files.NOT_STATED,
        provenance: str = "random weights",
        remember: dict[str, Any] | None = None,
    ) -> None:
        refuse_after_fork()
        data = open_data(data) if isinstance(data, str | Path) else data
        recipe = Recipe().changed(recipe) if isinstance(recipe, Mapping) else recipe
        logs = (logs,) if isinstance(logs, str) else tuple(logs)
        for value, kind in ((data, TrainingData), (network, Network), (recipe, Recipe)):
            if not isinstance(value, kind):
                raise OptionError(f"Trainer: {value!r:.60} is a {type(value).__name__}, not a {kind.__name__}")
        if network.classes != len(data.names):
            raise OptionError(f"the network has {network.classes} classes, the data set has {len(data.names)}")
        check_logs(logs)
        self.data, self.recipe, self.processes, self.callbacks = data, recipe, processes, callbacks
        self.results = Results(Path(folder))
        self.schedule = SamplingSchedule(
            pictures=len(data.train),
            batch=recipe.batch,
            epochs=recipe.epochs,
            mixed_epochs=max(0, recipe.epochs - recipe.close_mosaic),
            seed=recipe.seed,
            rank=processes.rank,
            processes=processes.count,
        )
        teacher = Teacher(Path(recipe.teacher), data.names) if recipe.teacher else None
        steps = optimizer_steps(len(data.train), recipe)
        self.train_step = TrainStep(network, recipe, steps, processes, teacher)
        self.validator = Validator(data, recipe.size, self.train_step.precision, processes)
        self.identity = Identity(
            network.architecture,
            dict(network.options),
            data.names,
            identity(data.train),
            describe_data(data),
            identity(data.val),
            sha256_of(Path(recipe.teacher)) if recipe.teacher else "",
            processes.count,
        )
        self.progress = TrainingProgress()
        self._resumed = False
        self._untold: list[str] = []
        self._validated = False  # the same in all processes: pictures to draw only some of them have
        self._origin = Origin(data.names, recipe.size, licence, provenance)
        self._notes = {"logs": list(logs), "licence": licence, "provenance": provenance, **(remember or {})}
        self._saved = self._began = time.monotonic()

    @torch.inference_mode(False)
    def restore(self, kept: Checkpoint) -> None:
        """Continue from a checkpoint, in its folder.

        Raises:
            OptionError: it is of another network, data set or number of processes; names the difference.
        """
        lost = [problem.place for problem in self.data.problems if problem.left_out]
        checkpoints.refuse_other(kept, self.identity, lost)
        learner = self.train_step
        checkpoints.restore(kept.tensors, learner.network, learner.average.network, learner.optimizer)
        if not self.processes.leads:  # the first process has the sum of all
            learner.optimizer.zero_grad(set_to_none=False)
        self.progress = replace(kept.progress)
        self._resumed = True
        learner.pending, learner.average.updates = kept.progress.pending, kept.progress.updates
        if kept.notes["scaler"]:
            learner.scaler.load_state_dict(kept.notes["scaler"])

    @torch.inference_mode(False)
    @torch.enable_grad()
    def run(self) -> Outcome:
        """Train to the end, or until a signal (Ctrl-C, SIGTERM): then all is saved, and can be resumed.

        Raises:
            TrainingError: a loss is not finite; the batch is saved, the last checkpoint stays.
            OptionError: processes have different data.
            OutputError: a file cannot be written, as on a full disk; the last checkpoint stays. Or another process
                trains in the folder.
            DataError: processes that prepare images cannot be started, or die.
        """
        refuse_second_import()
        self._refuse_other_data()
        chosen = self.train_step.optimization
        self._say(
            f"{self.identity.architecture} on {self.identity.data_summary}; {chosen.name} at"
            f" {chosen.learning_rate:g}, {self.train_step.precision} on {self.processes.device},"
            f" {self.schedule.batches} batches an epoch"
        )
        with ExitStack() as whole:
            with ExitStack() as stack:
                stack.callback(self.callbacks.end)
                self._began = time.monotonic() - self.progress.seconds
                self._lead(lambda: self._open(whole, stack))
                self.samples = self._open_samples()
                stack.enter_context(deaths_in_words())
                ending = self._train(stack.enter_context(interruptible()))
            if ending != "interrupted":
                self._finish()
        return Outcome(
            self.results.folder,
            self.progress.epochs,
            self.progress.best_ap,
            self.progress.best_epoch + 1,
            ending,
            self.progress.seconds,
        )

    def _refuse_other_data(self) -> None:
        """Refuse to train where machines have different data: they would disagree about batches.

        Raises:
            OptionError: they have; in every process.
        """
        mine = f"{self.identity.data_summary} {self.identity.data} {self.identity.validation}"
        if len(set(self.processes.gather_texts([mine]))) > 1:
            raise OptionError(
                f"the machines of this training have different data; here are {self.identity.data_summary}: give"
                " all of them the same files"
            )

    def _lead(self, act: Callable[[], None]) -> None:
        """Let the first process act while all wait. If it fails, all fail, so that none waits for it for ever."""
        failure: LucidboxError | None = None
        try:
            if self.processes.leads:
                act()
        except LucidboxError as error:
            failure = error
        if self.processes.any(failure is not None):
            raise failure or TrainingError("the first process cannot go on")

    def _open(self, whole: ExitStack, stack: ExitStack) -> None:
        """Make or reopen the folder, alone in it until the whole training ends."""
        whole.enter_context(self.results.alone())
        if not self._resumed:
            self.results.begin(self.recipe)
        try:
            self._records = self._open_records()
            stack.callback(self._close_records)
            if not self._resumed:
                self._save()  # from now on it can be resumed, whenever it is killed
        except BaseException:
            if not self._resumed:
                self.results.remove_start()
            raise

    def _close_records(self) -> None:
        for broken in self._records.close():
            self._say(f"{broken}; its last rows may be missing there")

    def _train(self, asked: Interruption) -> str:
        """Train batch after batch; returns how it ended."""
        if self._tired():  # it ended so before it was resumed
            return "patience"
        self.train_step.begin()  # first of all: frozen norms must not be measured
        if self.progress.batches == (self.progress.epochs + 1) * self.schedule.batches:
            self._end_epoch(EpochTimer())  # it was stopped during validation
        clock = EpochTimer()
        for batch in self._awaited(self._batches(self.progress.batches, self.recipe.workers), asked):
            clock.arrived()
            self._learn(batch)
            stop = self.processes.any(asked.wanted)
            if self.progress.batches % self.schedule.batches == 0:
                clock.learnt()
                self._end_epoch(clock)
                if self._tired():
                    return "patience"
                clock = EpochTimer()
            elif stop or self._long_unsaved():
                self._save()
            if stop:
                return "interrupted"
            clock.waits()
        return "interrupted" if self.progress.epochs < self.schedule.epochs else "done"

    def _awaited(self, batches: Iterator[Batch], asked: Interruption) -> Iterator[Batch]:
        """The batches. Alone, this process saves and stops at once when it is told to while it waits for one."""
        if self.processes.count > 1:  # the others would wait for this one
            yield from batches
        while self.processes.count == 1:
            try:
                with asked.waiting():
                    batch = next(batches, None)
            except KeyboardInterrupt:
                self._save()
                return
            if batch is None:
                return
            yield batch

    def _batches(self, first: int, workers: int) -> Iterator[Batch]:
        """This process's parts of the batches, from a batch of the training on."""
        recipe = self.recipe
        augmentation = Augmentation(**{field.name: getattr(recipe, field.name) for field in fields(Augmentation)})
        augmenter = Augmenter(self.samples, recipe.size, augmentation)
        on_card = self.processes.device.type == "cuda"
        return load_batches(augmenter, self.schedule, first=first, workers=workers, pin=on_card, say=self._say)

    def _learn(self, batch: Batch) -> None:
        for failure in batch.failures:
            self._untold.append(f"{failure}; another picture took its place")
        if self.processes.count == 1:
            self._tell()
        number = self.progress.batches
        try:
            losses = self.train_step.learn(batch, number, self._rates(number))
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"batch {number + 1}: {self.processes.device} is out of memory; use a smaller batch (gradients are"
                f" gathered up to nominal_batch, {self.recipe.nominal_batch}, all the same) or size"
            ) from error
        if not losses.finite:
            self._refuse(batch, losses)
        self.progress.batches += 1
        sums = zip(self.progress.epoch_losses, losses.parts, strict=True)
        self.progress.epoch_losses = tuple(total + part for total, part in sums)
        if self.processes.leads:
            self._records.batch(self.progress.batches, number // self.schedule.batches + 1, losses)
            self.callbacks.batch(self.progress.batches, self.schedule.batches * self.schedule.epochs, losses)

    def _open_samples(self) -> Samples:
        """The images, from a cache if the recipe allows one: made by the first process, used by all."""
        samples = self.data.samples(self.recipe.size)
        if not self.recipe.cache_gb:
            return samples
        folder, limit = cache_folder() / "pictures", int(self.recipe.cache_gb * 1e9)
        made: list[Samples] = []
        self._lead(lambda: made.append(build_cache(samples, folder, limit)))
        return made[0] if made else build_cache(samples, folder, limit)

    def _open_records(self) -> Records:
        done = self.progress.batches if self._resumed else None
        epochs = None if done is None else self.progress.epochs
        return Records(self.results.folder, self._notes["logs"], self.recipe.to_dict(), done, epochs)

    def _finish(self) -> None:
        """Export the model, and draw curves and predictions."""
        if not self._validated:  # a resumed training that had ended already
            self.validator(self.train_step.average.network)
        if not self.processes.leads:
            return
        folder = self.results.folder
        self.results.export_best()
        try:
            training_curves(folder / "metrics.csv", folder / "curves.png")
            self.validator.draw(folder / "predictions.png")
        except (OptionError, ImageError) as error:  # matplotlib is not installed, a picture is gone
            self._say(f"no picture of this training: {error}")

    def _rates(self, number: int) -> Rates:
        return rates(self.recipe, self.train_step.optimization, number, self.schedule.batches)

    def _end_epoch(self, clock: EpochTimer) -> None:
        """Validate, log, save: weights first, so that a checkpoint never refers to weights that are not there."""
        epoch = self.progress.batches // self.schedule.batches
        self._measure_norms()
        self.train_step.share_statistics()
        self._save()  # so that nothing is lost if validation fails
        due = epoch % self.recipe.validate_every == 0 or epoch == self.schedule.epochs
        summary = self.validator(self.train_step.average.network) if due else None
        self._validated |= due
        ap, ap50 = (float(summary.stats[0]), float(summary.stats[1])) if summary else (math.nan, math.nan)
        better = summary is not None and ap > self.progress.best_ap
        if better:
            self.progress.best_ap, self.progress.best_epoch = ap, epoch - 1
        if self.processes.leads:
            self._save_weights(better, ap, epoch)
        boxes, classes, distributions, teacher = (
            total / self.schedule.batches for total in self.progress.epoch_losses
        )
        self.progress.epoch_losses, self.progress.epochs = (0.0, 0.0, 0.0, 0.0), epoch
        self._untold += [f"validation goes on without a picture: {unread}" for unread in self.validator.failures]
        self._tell()
        if self.processes.leads:
            rate = self._rates(self.progress.batches - 1).learning_rate
            speed = clock.pictures_per_second(self.recipe.batch)
            row = EpochRow(
                epoch, boxes, classes, distributions, teacher, ap, ap50, rate, clock.seconds, speed, clock.waiting
            )
            for broken in self._records.epoch(row):
                self._say(f"{broken}; training goes on without this log")
        self._save()
        if self.processes.leads:
            self.callbacks.epoch(row)

    def _measure_norms(self) -> None:
        """Measure the average's norms on the epoch's last batches, made anew: the same ones after a resume."""
        count = min(-(-MEASURED // self.recipe.batch), self.schedule.batches)
        first = self.progress.batches - count
        batches = islice(self._batches(first, workers=0), count)
        self.train_step.measure_norms(enumerate(batches, first))

    def _save_weights(self, better: bool, ap: float, epoch: int) -> None:
        words = f"lucidbox train: {self.identity.data_summary}, {epoch} epochs from {self._origin.provenance}"
        if not math.isnan(ap):
            words += f", AP {ap:.4f} on its validation pictures"
        origin = replace(self._origin, provenance=words)
        self.results.save_weights(self.train_step.average.network, origin, (LAST, BEST) if better else (LAST,))

    def _tired(self) -> bool:
        """Whether it has been no better for so long that the recipe gives up.

        Nothing is counted before the first AP above 0: a young network may learn for long until it finds anything.
        """
        if not self.recipe.patience or self.progress.best_ap <= 0 or self.progress.epochs >= self.schedule.epochs:
            return False
        return self.progress.epochs - 1 - self.progress.best_epoch >= self.recipe.patience

    def _long_unsaved(self) -> bool:
        """Whether it is time to save within an epoch: the first process's clock decides for all."""
        late = time.monotonic() - self._saved > self.recipe.checkpoint_minutes * 60
        return self.recipe.checkpoint_minutes > 0 and self.processes.any(late and self.processes.leads)

    def _save(self) -> None:
        """Save the checkpoint with which the training can be resumed."""
        learner = self.train_step
        self.progress.seconds = time.monotonic() - self._began
        self.progress.pending, self.progress.updates = learner.pending, learner.average.updates
        self._saved = time.monotonic()
        if learner.pending:
            learner.share_gradients()
        if not self.processes.leads:
            return
        tensors = checkpoints.collect(
            learner.network, learner.average.network, learner.optimizer, pending=learner.pending > 0
        )
        self._records.flush()
        notes = {**self._notes, "scaler": learner.scaler.state_dict()}
        checkpoints.save_checkpoint(
            Checkpoint(self.recipe, self.identity, self.progress, tensors, notes), self.results.checkpoint
        )

    def _refuse(self, batch: Batch, losses: Losses) -> None:
        """Stop at a loss that is not finite.

        Raises:
            TrainingError: always.
        """
        number = self.progress.batches + 1
        try:
            saved = f"is in {self.results.save_refused(batch, number, self.processes.rank)}"
        except OutputError as failure:
            saved = f"could not be saved ({failure})"
        pictures = ", ".join(self.data.train_pictures.name(index) for index in batch.indices[:4])
        raise TrainingError(
            f"batch {number}: loss or gradients are not finite (boxes {losses.boxes:g}, classes"
            f" {losses.classes:g}, distributions {losses.distributions:g}, teacher {losses.teacher:g}); the batch"
            f" {saved}, with pictures such as {pictures}. The last checkpoint stays: go on from it with"
            " --resume, or train anew with a lower learning_rate"
        )

    def _tell(self) -> None:
        """Say what is wrong with images, in whichever process they were read."""
        for message in self.processes.gather_texts(self._untold):
            self._say(message)
        self._untold.clear()

    def _say(self, message: str) -> None:
        if self.processes.leads:
            self.callbacks.say(message)
