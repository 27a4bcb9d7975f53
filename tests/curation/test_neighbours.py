import numpy as np

from curation.neighbours import find_neighbours

ANGLES = np.deg2rad([0, 1, 10, 30, 90])
FEATURES = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32) * np.float32(3)
APART = np.array(list("abcde"))


def test_the_nearest_come_first_with_their_cosines():
    found = find_neighbours(FEATURES, APART, 3)
    assert found.indices.tolist() == [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0], [3, 2, 1]]
    np.testing.assert_allclose(found.similarities[0], np.cos(np.deg2rad([1, 10, 30])), rtol=1e-5)
    assert found.first(1).indices.tolist() == [[1], [0], [1], [2], [3]]


def test_pictures_of_the_same_group_come_after_all_others():
    found = find_neighbours(FEATURES, np.array(list("aacde")), 1)
    assert found.indices[:, 0].tolist() == [2, 2, 1, 2, 3]


def test_neighbours_may_be_looked_for_among_some_only():
    found = find_neighbours(FEATURES, APART, 4, among=np.array([False, False, True, False, True]))
    assert found.indices.tolist() == [[2, 4], [2, 4], [4, 2], [2, 4], [2, 4]]


def test_votes_are_shares_of_the_neighbours_classes():
    votes = find_neighbours(FEATURES, APART, 2).votes(np.array([0, 0, 1, 1, 2]), 3)
    assert votes.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]]


def test_the_graph_is_symmetric():
    graph = find_neighbours(FEATURES, APART, 1).graph().toarray()
    np.testing.assert_allclose(graph, graph.T)
    assert (graph > 0).sum() == 8
