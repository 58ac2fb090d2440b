"""The verb `example`: a published system on this machine, with what its questions must find."""
