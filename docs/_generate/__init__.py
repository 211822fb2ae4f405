"""Pages that are made from the code when the site is built: recipe keys, components, commands, API."""
