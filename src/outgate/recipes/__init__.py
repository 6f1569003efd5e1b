"""What is written for somebody who has no policy yet: one recipe for each thing that people want.

A recipe is a function from what was asked, and the input where there is one, to plain manifests with comments that say
why. What depends on the cluster (its resolvers, its API server, the ports behind a Service) is taken from the input or
refused; it is never guessed. What comes out is held to the API server's own rules before anybody sees it.
"""

from outgate.recipes.recipe import Asked, Manifest, Recipe, Scaffold
from outgate.recipes.registry import RECIPES, scaffold

__all__ = ["RECIPES", "Asked", "Manifest", "Recipe", "Scaffold", "scaffold"]
