"""The command line: what a person or a script asks of Landline. Each command is a module loaded when it is used."""
