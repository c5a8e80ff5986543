# The service units, with the places that the programs are installed to; systemd reads PREFIX/lib/systemd/system of
# /usr and /usr/local.
set(MLLPGW_UNIT_DIR lib/systemd/system)
foreach(unit mllp-gateway mllp-tunneld mllp-gateway-guards)
    configure_file(deploy/systemd/${unit}.service.in deploy/systemd/${unit}.service @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/deploy/systemd/${unit}.service DESTINATION ${MLLPGW_UNIT_DIR})
endforeach()
install(FILES deploy/systemd/strongswan-mllp-tunnel.conf DESTINATION ${MLLPGW_UNIT_DIR}/strongswan.service.d
    RENAME mllp-tunnel.conf)
foreach(package mllp-gateway mllp-tunnel)
    install(FILES deploy/systemd/${package}.sysusers DESTINATION lib/sysusers.d RENAME ${package}.conf)
    install(FILES deploy/systemd/${package}.tmpfiles DESTINATION lib/tmpfiles.d RENAME ${package}.conf)
endforeach()
