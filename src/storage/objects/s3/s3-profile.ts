/** In what stores that speak S3 differ, as far as it matters here. */
export interface S3Profile {
  /** Whether `If-None-Match: *` keeps a put from replacing an object; undefined: ask the store. */
  readonly conditionalPut: boolean | undefined
  /** Whether a listing can begin after a name. */
  readonly startAfter: boolean
  /** Whether unfinished multipart uploads can be listed. */
  readonly listsUnfinished: boolean
  /** Whether bodies carry Content-MD5, unless the options say otherwise. */
  readonly contentMd5: boolean
}

export const s3Profiles = {
  s3: { conditionalPut: undefined, startAfter: true, listsUnfinished: true, contentMd5: false },
  /**
   * Manta's S3 layer. It takes the signed hash of a body for granted and keeps no checksum, so that Content-MD5, which
   * its storage nodes do check, is all that notices a byte that was damaged on the way.
   */
  manta: { conditionalPut: true, startAfter: false, listsUnfinished: false, contentMd5: true },
} as const satisfies Readonly<Record<string, S3Profile>>
