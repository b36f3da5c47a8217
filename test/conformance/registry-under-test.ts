/** Whatever speaks the protocol: one process, or several behind one address. */
export interface RegistryUnderTest extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
}
