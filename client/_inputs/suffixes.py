"""Which files in a folder count as videos: suffixes of the containers that the server reads."""

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),
    *(".mkv", ".webm", ".avi", ".divx"),
    *(".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".mpe", ".m2p", ".vob"),
    *(".flv", ".wmv", ".asf", ".ogv", ".ogm", ".gif"),
)
"""In lower case; the case of a file's name does not matter."""
