def write(rows, docs):
    pass
