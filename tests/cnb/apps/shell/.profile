export S_APP="from .profile"
