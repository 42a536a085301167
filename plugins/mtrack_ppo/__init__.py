"""Agents and phases of PPO.

`teacher_student` has the phases `train` (teacher), `adapt` (adaptation module) and `finetune` (student); `actor_critic`
has the single phase `ppo`.

`ppo.py` contains the whole PPO update.
"""
