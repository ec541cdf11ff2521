"""The agents of `landline demo` (CLI-5): notes, bank_support, student_teacher.

They are written as a user's own agents would be. Without a key they run on an offline script, which says so.
"""

from landline.demo.agents import agents

__all__ = ["agents"]
