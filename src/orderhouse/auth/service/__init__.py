"""How somebody proves who they are and what is given for it, decided; what takes long is done before a transaction."""
