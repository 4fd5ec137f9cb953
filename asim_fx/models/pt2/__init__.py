"""Read the ``.pt2`` files of ``torch.export.save`` without trusting them.

``torch.export.load`` runs code that a file brings: pickles of sample inputs, of weights and of custom objects, compiled
libraries, expressions and names that end up in ``eval``, ``exec`` or ``import``. So nothing of a file reaches torch as
it stands. Its members are read here, what is understood is written into an archive of our own (``archive``), its graph
term by term (``program``, ``expressions``, ``operators``), and torch loads that one (``load``).
"""

from asim_fx.models.pt2.load import ProgramFile, clean_archive, read_program

__all__ = ["ProgramFile", "clean_archive", "read_program"]
