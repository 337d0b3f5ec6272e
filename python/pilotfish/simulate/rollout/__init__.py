"""The rollout demo: a policy goes from 5 % to everybody, a bad version is stopped, a module dies and comes back."""
