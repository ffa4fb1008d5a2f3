"""`lern demo`: a course, invented learners and weeks of their study, played through the real jobs on one SQLite file.

course.json ─► course ──────────┐
seed ────► learners, quizzes ───┴─► play (topics, tables, jobs) ─► lern.db ─► results ─► report
"""
