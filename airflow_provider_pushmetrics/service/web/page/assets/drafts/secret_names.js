// Names that mean a secret in texts, as parts of regular expressions.

export const PASSWORD =
  "passw(?:or)?d|passphrase|pwd|secret|authorization|(?<=[?&][\\w-]{0,30})sig(?:nature)?";
export const KEY = "token|(?:access|account|api|auth|private|secret|shared)[_-]?(?:access[_-]?)?key";
