/** That blobs are read from the object store itself, which spares this process their bytes. */
export interface BlobRedirects {
  /** How long the URL of a redirect is good for. */
  readonly expiresInSeconds: number
  /** Whether this client (an IP address) cannot reach the store, and so gets its blobs from us. */
  exempts(client: string): boolean
}
