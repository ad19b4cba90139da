"""Files in object stores and on web servers, through fsspec: listing, reading and writing them."""
