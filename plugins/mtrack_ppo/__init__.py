"""PPO with a privileged teacher, an estimator and a student: the agent `teacher_student` and its phases."""
