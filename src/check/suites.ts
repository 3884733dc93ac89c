/** Cipher suites by number (IANA TLS parameters), in the groups a look at a site offers. */

/** Broken or without any protection: NULL, anonymous, export, RC4, DES, 3DES. RFC 7465, RFC 8996, RFC 9325 §4.1. */
export const brokenSuites: ReadonlyMap<number, string> = new Map([
  [0x0001, "RSA-NULL-MD5"],
  [0x0002, "RSA-NULL-SHA"],
  [0x003b, "RSA-NULL-SHA256"],
  [0xc006, "ECDHE-ECDSA-NULL-SHA"],
  [0xc010, "ECDHE-RSA-NULL-SHA"],
  [0x0018, "ADH-RC4-MD5"],
  [0x001b, "ADH-3DES-SHA"],
  [0x0034, "ADH-AES128-SHA"],
  [0x003a, "ADH-AES256-SHA"],
  [0x00a6, "ADH-AES128-GCM-SHA256"],
  [0x00a7, "ADH-AES256-GCM-SHA384"],
  [0xc016, "AECDH-RC4-SHA"],
  [0xc017, "AECDH-3DES-SHA"],
  [0xc018, "AECDH-AES128-SHA"],
  [0xc019, "AECDH-AES256-SHA"],
  [0x0003, "EXPORT-RC4-40-MD5"],
  [0x0006, "EXPORT-RC2-40-MD5"],
  [0x0008, "EXPORT-DES-40-SHA"],
  [0x0014, "EXPORT-DHE-DES-40-SHA"],
  [0x0004, "RSA-RC4-MD5"],
  [0x0005, "RSA-RC4-SHA"],
  [0xc007, "ECDHE-ECDSA-RC4-SHA"],
  [0xc011, "ECDHE-RSA-RC4-SHA"],
  [0x0009, "RSA-DES-SHA"],
  [0x0015, "DHE-RSA-DES-SHA"],
  [0x000a, "RSA-3DES-SHA"],
  [0x0016, "DHE-RSA-3DES-SHA"],
  [0xc008, "ECDHE-ECDSA-3DES-SHA"],
  [0xc012, "ECDHE-RSA-3DES-SHA"],
]);

/** Outside Mozilla's intermediate list (guideline 6.0): no forward secrecy, or CBC with a MAC behind it. */
export const weakSuites: ReadonlyMap<number, string> = new Map([
  [0x009c, "RSA-AES128-GCM-SHA256"],
  [0x009d, "RSA-AES256-GCM-SHA384"],
  [0x003c, "RSA-AES128-SHA256"],
  [0x003d, "RSA-AES256-SHA256"],
  [0x002f, "RSA-AES128-SHA"],
  [0x0035, "RSA-AES256-SHA"],
  [0xc09c, "RSA-AES128-CCM"],
  [0xc09d, "RSA-AES256-CCM"],
  [0x0041, "RSA-CAMELLIA128-SHA"],
  [0x0084, "RSA-CAMELLIA256-SHA"],
  [0xc023, "ECDHE-ECDSA-AES128-SHA256"],
  [0xc024, "ECDHE-ECDSA-AES256-SHA384"],
  [0xc027, "ECDHE-RSA-AES128-SHA256"],
  [0xc028, "ECDHE-RSA-AES256-SHA384"],
  [0xc009, "ECDHE-ECDSA-AES128-SHA"],
  [0xc00a, "ECDHE-ECDSA-AES256-SHA"],
  [0xc013, "ECDHE-RSA-AES128-SHA"],
  [0xc014, "ECDHE-RSA-AES256-SHA"],
  [0x0067, "DHE-RSA-AES128-SHA256"],
  [0x006b, "DHE-RSA-AES256-SHA256"],
  [0x0033, "DHE-RSA-AES128-SHA"],
  [0x0039, "DHE-RSA-AES256-SHA"],
]);

/** Mozilla's intermediate list for TLS 1.2. */
export const goodSuites: readonly number[] = [0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0x009e, 0x009f];

export const tls13Suites: readonly number[] = [0x1301, 0x1302, 0x1303];
