class Texts: pass
