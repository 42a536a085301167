"""Runs policies that `mtrack export` wrote, on a robot or in MuJoCo: numpy and onnxruntime, without torch or mtrack."""

from mtrack_deploy.clips import read_clip
from mtrack_deploy.contract import Contract
from mtrack_deploy.controller import Controller
from mtrack_deploy.errors import DeployError
from mtrack_deploy.golden import TraceDifferences, check_golden_trace
from mtrack_deploy.player import MotionPlayer, Player
from mtrack_deploy.policy import Policy
from mtrack_deploy.robot import Robot
from mtrack_deploy.safety import JointCommand
from mtrack_deploy.sensors import Sensors, Window
from mtrack_deploy.stream import StreamPlayer

__all__ = [
    "Contract",
    "Controller",
    "DeployError",
    "JointCommand",
    "MotionPlayer",
    "Player",
    "Policy",
    "Robot",
    "Sensors",
    "StreamPlayer",
    "TraceDifferences",
    "Window",
    "check_golden_trace",
    "read_clip",
]
