"""The skeleton source `smpl` puts a body model's joints where independent rotations put them."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.spatial.transform import Rotation
from support.skeletons import rest_positions

from mtrack import MotionError, SkeletonMotion
from mtrack_retarget.smpl import Smpl
from mtrack_retarget.smpl_joints import BODY_JOINTS, BODY_PARENTS
from mtrack_retarget.to_person import to_person

FRAMES, SHAPES, VERTICES = 9, 4, 120
DRAW = np.random.default_rng(5)
TEMPLATE = DRAW.normal(0.0, 0.4, (VERTICES, 3))
DIRECTIONS = DRAW.normal(0.0, 0.01, (VERTICES, 3, SHAPES))
T_POSE = rest_positions()[:, [1, 2, 0]]  # the body faces z, y is up, x is left


def body_model(joints: int) -> dict[str, np.ndarray]:
    """Return the members of a body model whose regressor gives the T-pose of the walking person."""
    wanted = np.concatenate((T_POSE, np.tile(T_POSE[-1:], (joints - len(T_POSE), 1))))
    regressor = wanted @ np.linalg.pinv(TEMPLATE)  # many vertices for each joint
    tree = np.zeros((2, joints), np.uint32)
    tree[0], tree[1] = 2**32 - 1, np.arange(joints)
    tree[0, 1:] = [*BODY_PARENTS[1:], *[20] * (joints - len(BODY_PARENTS))]
    return {"v_template": TEMPLATE, "shapedirs": DIRECTIONS, "J_regressor": regressor, "kintree_table": tree}


def parameters(columns: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(columns)
    return {
        "poses": draw.normal(0.0, 0.6, (FRAMES, columns)),
        "trans": draw.normal(0.0, 1.0, (FRAMES, 3)),
        "betas": np.array([0.5, -1.0, 2.0, 0.3, 9.0, 9.0]),  # the model has only four
    }


def expected(model: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> np.ndarray:
    shaped = model["v_template"] + (model["shapedirs"] * values["betas"][:SHAPES]).sum(axis=2)
    rest = model["J_regressor"] @ shaped
    pos = np.zeros((FRAMES, len(BODY_JOINTS), 3))
    for frame in range(FRAMES):
        turned = []
        for joint, parent in enumerate(BODY_PARENTS):
            local = Rotation.from_rotvec(values["poses"][frame, 3 * joint : 3 * joint + 3])
            turned.append(turned[parent] * local if joint else local)
            pos[frame, joint] = (
                pos[frame, parent] + turned[parent].apply(rest[joint] - rest[parent])
                if joint
                else rest[0] + values["trans"][frame]
            )
    return pos


def read(path: Path, **options: object) -> SkeletonMotion:
    assert Smpl(**options).recognises(path)
    (motion,) = Smpl(**options).skeletons(path)
    return motion


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", **body_model(55))
    return tmp_path / "SMPLX_NEUTRAL.npz"


@pytest.mark.parametrize(("joints", "columns", "rate"), [(24, 72, "fps"), (52, 156, "mocap_framerate"), (55, 165, "")])
def test_positions_equal_an_independent_computation(tmp_path, joints, columns, rate):
    model, values = body_model(joints), parameters(columns)
    np.savez(tmp_path / "model.npz", **model)
    rates = {rate: np.array(120.0)} if rate else {"mocap_frame_rate": np.array(100.0)}
    np.savez(tmp_path / "walk.npz", **values, **rates, gender=np.array("female"))
    motion = read(tmp_path / "walk.npz", model=str(tmp_path / "model.npz"))
    assert np.allclose(motion.pos, expected(model, values), atol=1e-9)
    assert (motion.joint_names, motion.unit_m) == (BODY_JOINTS, 1.0)
    assert motion.fps == (120.0 if rate else 100.0)
    assert motion.up == ("" if rate == "fps" else "z")
    tall = motion.rest_pos[BODY_JOINTS.index("head")] - motion.rest_pos[BODY_JOINTS.index("left_ankle")]
    assert int(np.abs(tall).argmax()) == (1 if rate == "fps" else 2)


def test_the_results_of_gvhmr_are_read_at_30_fps_aloud(tmp_path, model_file, caplog):
    values = parameters(66)
    path = tmp_path / "dance" / "hmr4d_results.pt"
    path.parent.mkdir()
    tensors = {
        "global_orient": torch.tensor(values["poses"][:, :3]),
        "body_pose": torch.tensor(values["poses"][:, 3:]),
        "transl": torch.tensor(values["trans"]),
        "betas": torch.tensor(values["betas"]).expand(FRAMES, -1),
    }
    torch.save({"smpl_params_global": tensors, "K_fullimg": torch.eye(3), "net_outputs": {"a": torch.zeros(2)}}, path)
    with caplog.at_level(logging.WARNING):
        motion = read(path, model=str(model_file))
    assert "assumed 30 frames per second" in caplog.text
    assert (motion.name, motion.fps, motion.up) == ("dance", 30.0, "y")
    assert np.allclose(motion.pos, expected(body_model(55), values))


def test_a_pt_file_with_code_is_not_run(tmp_path, model_file):
    path = tmp_path / "evil.pt"
    torch.save({"smpl_params_global": {"body_pose": Path("/tmp")}}, path)
    with pytest.raises(MotionError, match=r"evil\.pt: cannot be loaded without running code"):
        read(path, model=str(model_file))


def test_a_pickled_model_with_a_sparse_regressor_is_read_without_running_it(tmp_path):
    model, values = body_model(24), parameters(72)
    sparsely = {**model, "J_regressor": sparse.csc_matrix(model["J_regressor"])}
    np.savez(tmp_path / "walk.npz", **values, fps=np.array(30.0))
    for protocol in (2, 4):
        (tmp_path / f"SMPL_{protocol}.pkl").write_bytes(pickle.dumps(sparsely, protocol=protocol))
        motion = read(tmp_path / "walk.npz", model=str(tmp_path / f"SMPL_{protocol}.pkl"))
        assert np.allclose(motion.pos, expected(model, values))


def test_a_standing_person_is_found(tmp_path, model_file):
    poses = np.zeros((FRAMES, 165))
    poses[:, 0] = np.pi / 2  # AMASS turns the body, whose y is up, to z up
    poses[:, 12] = np.linspace(0.0, 0.5, FRAMES)
    np.savez(
        tmp_path / "stand.npz",
        poses=poses,
        trans=np.zeros((FRAMES, 3)),
        betas=np.zeros(16),
        mocap_frame_rate=np.array(30),
    )
    person, reading = to_person(read(tmp_path / "stand.npz", model=str(model_file)))
    assert (reading.unit, reading.up, reading.assumed) == ("metres", "z", ())
    assert reading.height == pytest.approx(1.75, abs=0.06)
    assert (person.parts["head"] - person.parts["left_ankle"])[:, 2].min() > 1.3


def test_the_model_follows_the_gender(tmp_path, model_file, caplog):
    (tmp_path / "female").mkdir()
    model_file.rename(tmp_path / "female" / "model.npz")
    np.savez(tmp_path / "walk.npz", **parameters(165), fps=np.array(30.0), gender=np.array(b"female"))
    assert read(tmp_path / "walk.npz", model=str(tmp_path / "{gender}" / "model.npz")).fps == 30.0
    (tmp_path / "female" / "model.npz").rename(tmp_path / "SMPLX_MALE.npz")
    read(tmp_path / "walk.npz", model=str(tmp_path / "SMPLX_MALE.npz"))
    assert "of the gender 'female', but the body model is SMPLX_MALE.npz" in caplog.text


def test_without_a_model_the_error_says_what_to_download(tmp_path):
    np.savez(tmp_path / "walk.npz", **parameters(156), mocap_framerate=np.array(120.0))
    with pytest.raises(MotionError, match=r"AMASS, 9 frames, 52 joints: .*smpl-x\.is\.tue\.mpg\.de.*--set model=PATH"):
        list(Smpl().skeletons(tmp_path / "walk.npz"))


def without(name: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: value for key, value in values.items() if key != name}


def test_damaged_files_and_models_are_explained(tmp_path, model_file):
    np.savez(tmp_path / "walk.npz", **parameters(165), fps=np.array(30.0))
    fitting, values = body_model(55), parameters(165)
    broken = {
        "has no 'J_regressor'": without("J_regressor", fitting),
        "do not fit together": {**fitting, "J_regressor": fitting["J_regressor"][:40]},
        "is not the tree of SMPL": {**fitting, "kintree_table": fitting["kintree_table"][::-1]},
    }
    for number, (message, members) in enumerate(broken.items()):
        np.savez(tmp_path / f"model{number}.npz", **members)
        with pytest.raises(MotionError, match=rf"model{number}\.npz: .*{message}"):
            read(tmp_path / "walk.npz", model=str(tmp_path / f"model{number}.npz"))
    with pytest.raises(MotionError, match=r"nowhere\.npz: there is no such body model; download"):
        read(tmp_path / "walk.npz", model=str(tmp_path / "nowhere.npz"))
    values["poses"][3, 5] = np.nan
    np.savez(tmp_path / "nan.npz", **values)
    with pytest.raises(MotionError, match=r"nan\.npz: 'poses' is not finite in frame 3"):
        read(tmp_path / "nan.npz", model=str(model_file))
    np.savez(tmp_path / "shapeless.npz", **without("betas", parameters(165)))
    with pytest.raises(MotionError, match=r"shapeless\.npz: 'betas' is missing"):
        read(tmp_path / "shapeless.npz", model=str(model_file))


def test_a_sparse_matrix_that_contradicts_itself_is_rejected(tmp_path):
    np.savez(tmp_path / "walk.npz", **parameters(72), fps=np.array(30.0))
    changes = ({"_shape": (10**6, 10**6)}, {"indices": np.full(24, 99)}, {"indptr": np.zeros(3, int)}, {"data": 1})
    for change in changes:
        regressor = sparse.csc_matrix(np.eye(24, VERTICES))
        vars(regressor).update(change)
        (tmp_path / "model.pkl").write_bytes(pickle.dumps({**body_model(24), "J_regressor": regressor}))
        with pytest.raises(MotionError, match=r"model\.pkl: rejected at byte .*sparse matrix"):
            read(tmp_path / "walk.npz", model=str(tmp_path / "model.pkl"))
