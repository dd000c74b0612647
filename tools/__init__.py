"""Programs of the build. Not part of the package: nothing in src imports them."""
