/** Names that workflows give: of steps, and of inputs, outputs and signals. */
export const STEP_ID = {
  charsMax: 64,
  pattern: /^[a-z][a-z0-9_-]*$/,
  hint: 'write small letters, digits, - and _',
}
export const NAME = {
  charsMax: 64,
  pattern: /^[A-Za-z_][A-Za-z0-9_-]*$/,
  hint: 'write letters, digits, - and _',
}
