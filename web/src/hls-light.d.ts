// hls.js ships its small build without a declaration of its own; it is a subset of the whole.
declare module 'hls.js/light' {
  export * from 'hls.js';
  export { default } from 'hls.js';
}
