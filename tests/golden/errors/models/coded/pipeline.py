raise SystemExit("this is never run")
