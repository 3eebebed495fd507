# SPDX-License-Identifier: Apache-2.0
#
# What is installed. All of it finds its parts relative to itself, so that the tree may be
# moved; only zcpd's place, the last but one a node looks at, and the unit name the prefix.
include(CMakePackageConfigHelpers)

if(NOT TARGET zcp)
	return()
endif()

install(TARGETS zcp zcp_static EXPORT zcpTargets)
foreach(program zcp_command zcpd)
	if(TARGET ${program})
		install(TARGETS ${program})
	endif()
endforeach()
install(DIRECTORY include/zcp TYPE INCLUDE FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

set(zcp_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/zcp")
install(EXPORT zcpTargets NAMESPACE zcp:: DESTINATION "${zcp_cmake_dir}")
configure_package_config_file(config/zcpConfig.cmake.in "${PROJECT_BINARY_DIR}/zcpConfig.cmake"
	INSTALL_DESTINATION "${zcp_cmake_dir}")
# Until 1.0 a minor version may change what a program was built against.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/zcpConfigVersion.cmake"
	COMPATIBILITY SameMinorVersion)
install(FILES
	"${PROJECT_BINARY_DIR}/zcpConfig.cmake" "${PROJECT_BINARY_DIR}/zcpConfigVersion.cmake"
	DESTINATION "${zcp_cmake_dir}")

set(zcp_pc_dir "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH zcp_pc_to_prefix "${zcp_pc_dir}" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" zcp_pc_to_prefix "${zcp_pc_to_prefix}")
configure_file(config/zcp.pc.in "${PROJECT_BINARY_DIR}/zcp.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/zcp.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

configure_file(config/zcpd.service.in "${PROJECT_BINARY_DIR}/zcpd.service" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/zcpd.service" DESTINATION lib/systemd/system)
install(FILES config/zcp.toml TYPE DOC OPTIONAL)
