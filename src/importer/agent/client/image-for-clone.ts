/** What the agent does first when a clone is asked for whose image is not there. */
export interface ImageForClone {
  /** `never` unless given. */
  readonly pull?: 'never' | 'missing' | 'always' | undefined
  /** How long to wait for an import. */
  readonly waitSeconds?: number | undefined
  /** `os/architecture[/variant]`. */
  readonly platform?: string | undefined
  readonly priority?: number | undefined
  readonly credentials?: string | undefined
}
