"""What `keyturn doctor` looks at, part by part."""
