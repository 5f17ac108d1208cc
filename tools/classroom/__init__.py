"""Release, grading and feedback of the problem sets; ``python -m classroom`` lists the commands."""
