"""The agent `teacher_student` and its phases `train` (teacher), `adapt` (adaptation module) and `finetune` (student).

`ppo.py` contains the whole PPO update.
"""
